// The replicate SDK: predictions made, waited for, streamed, given up; files; models; webhooks.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import Replicate, { validateWebhook } from "replicate";

import { keyOf, plain, receiver, sample, secure, tooLarge } from "./server.mjs";

const MODEL = "impasto/sketch-scene";
const INPUT = { prompt: "a red mug on a table", width: 64, height: 64, seed: 3 };
const client = (name = "normal", at = secure, auth = keyOf(name), more = {}) =>
  new Replicate({ auth, baseUrl: `${at(name)}/replicate/v1`, ...more });
const normal = client();
const png = (bytes) => Buffer.from(bytes).subarray(1, 4).toString() === "PNG";
const whole = async (file) => Buffer.from(await (await file.blob()).arrayBuffer());

const failed = (status, words = "") => (error) => {
  assert.equal(error.response?.status, status, String(error));
  assert.ok(error.message.includes(words), error.message);
  return true;
};

for (const [how, at] of [["with", secure], ["without", plain]]) {
  test(`run gives files, ${how} encryption`, async () => {
    const output = await client("normal", at).run(MODEL, { input: { ...INPUT, num_outputs: 2 } });
    assert.equal(output.length, 2);
    assert.ok(png(await whole(output[0])));
    const [address] = await client("normal", at, keyOf(), { useFileOutput: false }).run(MODEL, { input: INPUT });
    assert.match(address, how === "with" ? /^https:/ : /^data:/);
  });
}

test("tiers, versions and tasks run", async () => {
  for (const name of ["impasto/hero", "text-to-image/draft"]) {
    const [file] = await normal.run(name, { input: INPUT });
    assert.ok(png(await whole(file)), name);
  }
  const { latest_version: version } = await normal.models.get("impasto", "sketch-scene");
  const [file] = await normal.run(`${MODEL}:${version.id}`, { input: INPUT });
  assert.ok(png(await whole(file)));
});

test("a prediction is polled, also after a wait that was too short", async () => {
  const seen = new Set();
  const slow = client("slow");
  const input = { ...INPUT, seed: 11 };
  const [file] = await slow.run(MODEL, { input, wait: { mode: "block", timeout: 1 } }, ({ status }) => seen.add(status));
  assert.ok(png(await whole(file)));
  assert.ok(seen.has("starting") && seen.has("succeeded"), [...seen].join());
  const polled = await slow.run(MODEL, { input: { ...INPUT, seed: 12 }, wait: { mode: "poll", interval: 100 } });
  assert.equal(polled.length, 1);
});

test("a prediction is given up", async () => {
  const hanging = client("hanging");
  const made = await hanging.predictions.create({ model: MODEL, input: INPUT });
  assert.equal((await hanging.predictions.cancel(made.id)).status, "canceled");
  const giveUp = new AbortController();
  setTimeout(() => giveUp.abort(), 1500);
  const output = hanging.run(MODEL, { input: INPUT, wait: { mode: "poll" }, signal: giveUp.signal });
  await output.then((output) => assert.equal(output, null), (error) => assert.equal(error.name, "AbortError"));
});

test("whoever waits no longer finds the prediction again", async () => {
  const hanging = client("hanging");
  const input = { ...INPUT, prompt: `a mug that never comes, ${randomUUID()}` };
  const signal = AbortSignal.timeout(3000);
  const wait = { mode: "block", timeout: 1 };
  // The package cancels what it gives up, if it has begun to ask for it.
  await hanging.run(MODEL, { input, wait, signal }).then(
    (output) => assert.equal(output, null),
    (error) => assert.match(error.name, /AbortError|TimeoutError/),
  );
  const { results } = await hanging.predictions.list();
  const [left, ...others] = results.filter((one) => one.input.prompt === input.prompt);
  assert.equal(others.length, 0);
  assert.equal((await hanging.predictions.cancel(left.id)).status, "canceled");
});

test("the stream tells output and end, without a key", async () => {
  const events = [];
  for await (const event of normal.stream(MODEL, { input: INPUT })) events.push(event);
  assert.deepEqual(events.map(({ event }) => event), ["output", "done"]);
  assert.match(String(events[0]), /^https:/);
});

test("what failed or was refused is an error", async () => {
  await assert.rejects(client("failing").run(MODEL, { input: INPUT }), /Prediction failed: .*provider_failed/);
  await assert.rejects(client("refusing").run(MODEL, { input: INPUT }), /Prediction failed: .*refused/);
  await assert.rejects(async () => {
    for await (const event of client("failing").stream(MODEL, { input: INPUT })) assert.ok(event);
  }, /provider_failed/);
});

test("errors are told as problems", async () => {
  await assert.rejects(normal.run("acme/sketch-scenes", { input: INPUT }), failed(404, "did you mean"));
  await assert.rejects(normal.run(MODEL, { input: { promt: "x" } }), failed(422, "prompt"));
  await assert.rejects(client("normal", secure, "wrong").run(MODEL, { input: INPUT }), failed(401));
  await assert.rejects(normal.predictions.get("nonesuch"), failed(404, "nonesuch"));
  await assert.rejects(normal.run(MODEL, { input: { prompt: "x".repeat(70 << 20) } }), failed(413, "too large"));
});

test("files are uploaded, used, listed and deleted", async () => {
  const blob = new File([sample("coffee.png")], "coffee.png", { type: "image/png" });
  const made = await normal.files.create(blob, { shelf: 4 });
  assert.deepEqual(made.metadata, { shelf: 4 });
  const input = { image: made.urls.get, scale: 1.5 };
  const one = await whole(await normal.run("impasto/back-projection-upscaler", { input }));
  const picture = sample("coffee.png");
  const inline = `data:image/png;base64,${picture.toString("base64")}`;
  for (const image of [picture, inline, new Blob([picture], { type: "image/png" })]) {
    const file = await normal.run("impasto/back-projection-upscaler", { input: { image, scale: 1.5 } });
    assert.deepEqual(await whole(file), one);
  }
  assert.ok((await normal.files.list()).results.some(({ id }) => id === made.id));
  assert.equal(await normal.files.delete(made.id), true);
  await assert.rejects(normal.files.get(made.id), failed(404));
});

test("a file that is too large is refused", async () => {
  await assert.rejects(normal.files.create(tooLarge("image/png")), failed(413, "too large"));
});

test("predictions and models are listed page by page", async () => {
  for await (const page of normal.paginate(normal.predictions.list)) {
    assert.ok(page.every(({ id, status }) => id && status));
    break;
  }
  const names = [];
  for await (const page of normal.paginate(normal.models.list)) names.push(...page.map(({ name }) => name));
  assert.ok(names.includes("sketch-scene") && names.length > 25);
  const found = await normal.models.search("voice");
  assert.ok(found.results.some(({ name }) => name === "sketch-voice"));
  assert.equal((await normal.models.versions.list("impasto", "sketch-voice")).results.length, 1);
  assert.ok((await normal.collections.get("text-to-speech")).models.length > 0);
  assert.ok((await normal.accounts.current()).username);
});

test("webhooks are signed", async (context) => {
  const { url: webhook, next } = await receiver(context);
  const made = await normal.predictions.create({
    model: MODEL,
    input: INPUT,
    webhook,
    webhook_events_filter: ["completed"],
  });
  const { headers, body } = await next();
  const { key } = await normal.webhooks.default.secret.get();
  const request = new Request(webhook, { method: "POST", headers, body });
  assert.equal(await validateWebhook(request, key), true);
  assert.equal(JSON.parse(body).id, made.id);
  assert.equal(JSON.parse(body).status, "succeeded");
});
