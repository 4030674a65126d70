// Where the servers are.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
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

/** More than a server takes in one file, of no kind in particular. */
export const tooLarge = (type) => new File([new Uint8Array(101 << 20)], "large.bin", { type });

/** Somebody who is told of webhooks until the test ends: `url`, and `next()` gives headers and body of the next one. */
export const receiver = async (context) => {
  const told = [];
  const listener = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    told.push({ headers: request.headers, body: Buffer.concat(pieces).toString() });
    response.end();
    listener.emit("told");
  }).listen(0, "127.0.0.1");
  context.after(() => listener.close());
  await once(listener, "listening");
  const next = async () => {
    while (told.length === 0) await once(listener, "told");
    return told.shift();
  };
  return { url: `http://127.0.0.1:${listener.address().port}/hook`, next };
};
