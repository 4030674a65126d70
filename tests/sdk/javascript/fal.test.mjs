// @fal-ai/client, as people use it: through its hook for requests, and through a proxy.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, createPublicKey, randomUUID, verify } from "node:crypto";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { ApiError, ValidationError, createFalClient } from "@fal-ai/client";
import { handleRequest } from "@fal-ai/server-proxy";
import { KEY, keyOf, plain, receiver, sample, secure, tooLarge } from "./server.mjs";

const PICTURE = "impasto/sketch-scene/text-to-image";
const RESIZE = "impasto/raster-tools/resize-image";

/** An input that nobody had before, so that nothing is taken from a cache. */
const wish = (more = {}) => ({
  prompt: `a red mug on a table, ${randomUUID()}`,
  image_size: { width: 96, height: 64 },
  ...more,
});

/** Where a request would go, with another host. */
const moved = (url, root) => {
  const { host, pathname, search } = new URL(url);
  const part = { "fal.run": "run", "queue.fal.run": "queue", "rest.fal.ai": "rest" }[host];
  return part ? `${root}/fal/${part}${pathname}${search}` : url;
};

/** A client whose requests are sent to a server of ours by the hook that there is for it. */
const client = ({ name = "normal", root = secure(name), credentials = keyOf(name), ...more } = {}) =>
  createFalClient({
    credentials,
    requestMiddleware: async (request) => ({ ...request, url: moved(request.url, root) }),
    ...more,
  });

/** A client that sends everything to one address and says in a header what it meant. */
const proxied = (path = "/fal/proxy") =>
  createFalClient({ credentials: KEY, proxyUrl: { url: secure() + path, when: "always" } });

const bytesAt = async (url) => {
  const answer = await fetch(url);
  assert.equal(answer.status, 200);
  return Buffer.from(await answer.arrayBuffer());
};

const isPicture = async (image) => {
  const bytes = await bytesAt(image.url);
  assert.equal(bytes.subarray(1, 4).toString(), "PNG");
  assert.equal(bytes.length, image.file_size);
};

const runs = async (name = "normal") => {
  let [count, cursor] = [0, undefined];
  do {
    const query = new URLSearchParams({ limit: "200", ...(cursor && { cursor }) });
    const headers = { authorization: `Bearer ${keyOf(name)}` };
    const page = await (await fetch(`${secure(name)}/v1/runs?${query}`, { headers })).json();
    count += page.runs.length;
    cursor = page.next_cursor;
  } while (cursor);
  return count;
};

for (const [way, make] of Object.entries({ hook: client, proxy: proxied })) {
  test(`calls, by ${way}`, async () => {
    const { data, requestId } = await make().run(PICTURE, { input: wish({ seed: 7 }) });
    assert.equal(data.seed, 7);
    assert.match(requestId, /^[0-9a-f]+$/);
    await isPicture(data.images[0]);
  });

  for (const mode of ["polling", "streaming"]) {
    test(`the queue, ${mode}, by ${way}`, async () => {
      const seen = [];
      const { data, requestId } = await make().subscribe(PICTURE, {
        input: wish(),
        logs: true,
        mode,
        pollInterval: 20,
        onQueueUpdate: (status) => seen.push(status),
      });
      await isPicture(data.images[0]);
      assert.equal(seen.at(-1).status, "COMPLETED");
      assert.equal(seen.at(-1).request_id, requestId);
      assert.ok(seen.at(-1).logs.some((line) => line.message.includes("attempt 1")));
      assert.equal(new Set(seen.at(-1).logs.map((line) => line.message)).size, seen.at(-1).logs.length);
    });
  }

  test(`a stream, by ${way}`, async () => {
    const stream = await make().stream(PICTURE, { input: wish() });
    const told = [];
    for await (const event of stream) told.push(event);
    await isPicture((await stream.done()).images[0]);
    assert.deepEqual(told.at(-1), await stream.done());
  });

  test(`files in the input, by ${way}`, async () => {
    const photo = new File([sample("chelsea.png")], "my cat.png", { type: "image/png" });
    const { data } = await make().subscribe(RESIZE, { input: { image_url: photo, width: 50 } });
    assert.equal(data.image.width, 50);
  });
}

test("the default path of a proxy, and what it does not send on", async () => {
  const { data } = await proxied("/api/fal/proxy").run(PICTURE, { input: wish() });
  await isPicture(data.images[0]);
  for (const target of ["https://example.com/a/b", undefined]) {
    const headers = { authorization: `Key ${KEY}`, ...(target && { "x-fal-target-url": target }) };
    const answer = await fetch(`${secure()}/fal/proxy`, { method: "POST", headers });
    assert.equal(answer.status, 400);
  }
});

test("a proxy of one's own before the server", async (context) => {
  // It asks fal's own hosts: what it would fetch from there is sent to the server.
  const fetched = globalThis.fetch;
  context.mock.method(globalThis, "fetch", (url, init) => fetched(moved(url, secure()), init));
  const config = {
    isAuthenticated: async () => true,
    resolveFalAuth: async () => `Key ${KEY}`,
    allowUnauthorizedRequests: false,
    allowedEndpoints: [],
  };
  const proxy = createServer(async (request, response) => {
    const chunks = await request.toArray();
    await handleRequest(
      {
        id: "test",
        method: request.method,
        getHeaders: () => request.headers,
        getHeader: (name) => request.headers[name],
        sendHeader: (name, value) => response.setHeader(name, value),
        respondWith: (status, data) => response.writeHead(status).end(JSON.stringify(data)),
        getRequestBody: async () => Buffer.concat(chunks).toString(),
        sendResponse: async (answer) =>
          response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer())),
      },
      config,
    );
  });
  await new Promise((listens) => proxy.listen(0, "127.0.0.1", listens));
  try {
    const url = `http://127.0.0.1:${proxy.address().port}/api/fal/proxy`;
    const keyless = createFalClient({ proxyUrl: { url, when: "always" }, credentials: undefined, fetch: fetched });
    const { data } = await keyless.subscribe(PICTURE, { input: wish(), pollInterval: 20 });
    await isPicture(data.images[0]);
    await assert.rejects(keyless.run("acme/nothing", { input: {} }), { status: 404 });
  } finally {
    proxy.close();
  }
});

test("a request is followed by its id", async () => {
  const { queue } = client();
  const submitted = await queue.submit(PICTURE, { input: wish(), priority: "low", startTimeout: 60, hint: "x" });
  const requestId = submitted.request_id;
  assert.equal(submitted.status, "IN_QUEUE");
  assert.ok(submitted.status_url.startsWith(secure()));
  const last = await queue.subscribeToStatus(PICTURE, { requestId, pollInterval: 20 });
  assert.equal(last.status, "COMPLETED");
  await isPicture((await queue.result(PICTURE, { requestId })).data.images[0]);
  await assert.rejects(queue.cancel(PICTURE, { requestId }), { status: 400 });
});

test("a cancelled request ends", async () => {
  const { queue } = client({ name: "hanging" });
  const { request_id: requestId } = await queue.submit(PICTURE, { input: wish() });
  await assert.rejects(queue.result(PICTURE, { requestId }), (error) => {
    assert.equal(error.body.detail, "Request is still in progress");
    return error instanceof ApiError && error.status === 400;
  });
  await queue.cancel(PICTURE, { requestId });
  const last = await queue.subscribeToStatus(PICTURE, { requestId, pollInterval: 20 });
  assert.equal(last.error_type, "client_cancelled");
  await assert.rejects(queue.result(PICTURE, { requestId }), { status: 499 });
});

test("a client that waits no longer cancels", async () => {
  const hanging = client({ name: "hanging" });
  let requestId;
  const subscribed = hanging.subscribe(PICTURE, {
    input: wish(),
    timeout: 600,
    pollInterval: 50,
    onEnqueue: (id) => (requestId = id),
  });
  await assert.rejects(subscribed, /timed out/);
  const last = await hanging.queue.subscribeToStatus(PICTURE, { requestId, pollInterval: 50 });
  assert.equal(last.error_type, "client_cancelled");
});

test("what is unknown, and a bad key", async () => {
  const unknown = client().run("acme/nothing", { input: {} });
  await assert.rejects(unknown, (error) => {
    assert.match(error.message, /acme\/nothing/);
    return error instanceof ApiError && error.status === 404 && error.requestId !== "";
  });
  await assert.rejects(client({ credentials: "nonsense" }).run(PICTURE, { input: wish() }), { status: 401 });
  await assert.rejects(client().queue.status(PICTURE, { requestId: "0000" }), { status: 404 });
});

test("the end of a request is told, signed", async (context) => {
  for (const [name, status] of [["normal", "OK"], ["failing", "ERROR"]]) {
    const { url, next } = await receiver(context);
    const { queue } = client({ name });
    const { request_id: requestId } = await queue.submit(PICTURE, { input: wish(), webhookUrl: url });
    const { headers, body } = await next();
    const told = JSON.parse(body);
    assert.deepEqual([told.request_id, told.status], [requestId, status]);
    if (status === "OK") await isPicture(told.payload.images[0]);
    // As fal's documentation has it.
    const { keys } = await (await fetch(`${secure(name)}/fal/rest/.well-known/jwks.json`)).json();
    const parts = ["request-id", "user-id", "timestamp"].map((part) => headers[`x-fal-webhook-${part}`]);
    const signed = [...parts, createHash("sha256").update(body).digest("hex")].join("\n");
    const key = createPublicKey({ key: keys[0], format: "jwk" });
    const signature = Buffer.from(headers["x-fal-webhook-signature"], "hex");
    assert.ok(verify(null, Buffer.from(signed), key, signature));
    assert.ok(!verify(null, Buffer.from(`${signed}0`), key, signature));
  }
});

test("bad input is told by field", async () => {
  await assert.rejects(client().run(PICTURE, { input: wish({ num_images: 99 }) }), (error) => {
    assert.equal(error.getFieldErrors("num_images").length, 1);
    return error instanceof ValidationError;
  });
});

test("refused content", async () => {
  const refusing = client({ name: "refusing" });
  for (const call of ["run", "subscribe"]) {
    await assert.rejects(refusing[call](PICTURE, { input: wish() }), (error) => {
      assert.equal(error.fieldErrors[0].type, "content_policy_violation");
      return error instanceof ValidationError;
    });
  }
});

test("a failure of a provider is not paid for twice", async () => {
  const failing = client({ name: "failing" });
  const before = await runs("failing");
  for (const call of ["run", "subscribe"]) {
    await assert.rejects(failing[call](PICTURE, { input: wish() }), (error) => {
      assert.equal(error.body.error_type, "downstream_service_error");
      return error instanceof ApiError && error.status === 500;
    });
  }
  const stream = await failing.stream(PICTURE, { input: wish() });
  await assert.rejects(stream.done(), { status: 500 });
  assert.equal(await runs("failing"), before + 3);
});

test("a retry after a broken connection is the same request", async () => {
  const retry = { baseDelay: 50 };
  // A submission is answered before its connection breaks, a slow call is not.
  for (const [call, name] of [["run", "slow"], ["subscribe", "normal"]]) {
    let broken = 0;
    const breaking = async (url, init) => {
      if (init.method !== "POST" || broken > 0) return fetch(url, init);
      broken += 1;
      await abandoned(url, init);
      throw Object.assign(new TypeError("fetch failed"), { cause: { code: "ECONNRESET" } });
    };
    const before = await runs(name);
    const breakable = client({ name, root: plain(name), fetch: breaking, retry });
    const { data } = await breakable[call](PICTURE, { input: wish() });
    await isPicture(data.images[0]);
    assert.equal(broken, 1);
    assert.equal(await runs(name), before + 1);
  }
});

/** Sends a request and goes away before its answer. */
const abandoned = async (url, init) => {
  const { connect } = await import("node:net");
  const { hostname, port, pathname, search } = new URL(url);
  const headers = Object.entries(init.headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const length = Buffer.byteLength(init.body);
  const socket = connect(Number(port), hostname);
  socket.write(`POST ${pathname}${search} HTTP/1.1\r\nhost: ${hostname}:${port}\r\n${headers}content-length: ${length}\r\n\r\n${init.body}`);
  await new Promise((sent) => setTimeout(sent, 200));
  socket.resetAndDestroy();
  await new Promise((seen) => setTimeout(seen, 50));
};

test("a large file goes in parts, and one that is too large is refused", async () => {
  const { storage, run } = client();
  const seconds = 545;
  const url = await storage.upload(silence(seconds));
  const { data } = await run("impasto/sound-tools/trim-audio", { input: { audio_url: url, start: 1, duration: 2 } });
  assert.ok(Math.abs(data.audio.duration - 2) < 0.1);
  // The package keeps to itself why a part is refused.
  const statuses = new Set();
  const seeing = async (url, init) => {
    const answer = await fetch(url, init);
    if (init?.method === "PUT") statuses.add(answer.status);
    return answer;
  };
  const watched = client({ fetch: seeing }).storage.upload(tooLarge("audio/wav"));
  await assert.rejects(watched, /Part upload failed/);
  assert.deepEqual([...statuses].sort(), [200, 413]);
});

/** A sound of more than the 90 MiB from which on uploads go in parts. */
const silence = (seconds) => {
  const size = seconds * 44_100 * 4;
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(size + 36, 4);
  head.write("WAVEfmt ", 8);
  [[16, 4], [1, 2], [2, 2], [44_100, 4], [176_400, 4], [4, 2], [16, 2]].reduce((at, [value, bytes]) => {
    head.writeUIntLE(value, at, bytes);
    return at + bytes;
  }, 16);
  head.write("data", 36);
  head.writeUInt32LE(size, 40);
  return new File([head, new Uint8Array(size)], "silence.wav", { type: "audio/wav" });
};

test("realtime", () => {
  // Not every Node has a WebSocket unasked.
  const script = fileURLToPath(new URL("./fal-realtime.mjs", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--experimental-websocket", script], {
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
});
