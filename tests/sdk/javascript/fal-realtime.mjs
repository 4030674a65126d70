// The realtime connection of @fal-ai/client. Its address cannot be changed but by another `WebSocket`.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createFalClient } from "@fal-ai/client";
import { KEY, secure } from "./server.mjs";

const Real = globalThis.WebSocket;
globalThis.WebSocket = class extends Real {
  constructor(url) {
    super(url.replace("wss://fal.run", `${secure().replace("https", "wss")}/fal/run`));
  }
};

const app = "impasto/sketch-scene/text-to-image";
const token = async (apps) => {
  const headers = { authorization: `Key ${KEY}`, "content-type": "application/json" };
  const body = JSON.stringify({ allowed_apps: apps, token_expiration: 60 });
  return (await fetch(`${secure()}/fal/rest/tokens/`, { method: "POST", headers, body })).json();
};
const wish = (more) => ({ prompt: `a mug, ${randomUUID()}`, image_size: "square", ...more });

/** The next thing that a connection tells. */
const listener = () => {
  const [told, waiting] = [[], []];
  const tell = (kind) => (what) => (waiting.shift() ?? ((it) => told.push(it)))([kind, what]);
  const next = () => new Promise((hear) => (told.length ? hear(told.shift()) : waiting.push(hear)));
  return { next, handlers: { onResult: tell("result"), onError: tell("error") } };
};

const { realtime } = createFalClient({ credentials: KEY });
const { next, handlers } = listener();
const connection = realtime.connect(app, {
  ...handlers,
  connectionKey: "first",
  throttleInterval: 0,
  tokenProvider: () => token(["sketch-scene"]),
  tokenExpirationSeconds: 60,
});
for (const seed of [1, 2]) {
  connection.send(wish({ seed }));
  const [kind, result] = await next();
  assert.equal(kind, "result", JSON.stringify(result));
  assert.equal(result.seed, seed);
  assert.equal(Buffer.from(result.images[0].content).subarray(1, 4).toString(), "PNG");
}
connection.send(wish({ num_images: 99 }));
const [kind, error] = await next();
assert.equal(kind, "error");
assert.match(error.message, /num_images/);
connection.close();
process.exit(0);
