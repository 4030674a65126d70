// Where the servers are.

import { readFileSync } from "node:fs";
import { join } from "node:path";

const facts = JSON.parse(readFileSync(process.env.IMPASTO_SDK_SERVERS, "utf8"));

/** Host and port of a server. */
export const host = (name = "normal") => `127.0.0.1:${facts.ports[name]}`;

/** The address of a server over TLS, without a slash at its end. */
export const secure = (name = "normal") => `https://${host(name)}`;

/** The address of a server without TLS. */
export const plain = (name = "normal") => `http://${host(name)}`;

/** A key that the server takes. */
export const keyOf = (name = "normal") => facts.keys[name];

export const KEY = keyOf();

/** A file of the samples, as bytes. */
export const sample = (name) => readFileSync(join(process.env.IMPASTO_SDK_SAMPLES, name));
