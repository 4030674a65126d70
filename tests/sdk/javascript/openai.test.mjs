// The official OpenAI package, as its users use it.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import OpenAI, { toFile } from "openai";

import { keyOf, plain, receiver, sample, secure, tooLarge } from "./server.mjs";

const SMALL = "256x256";
const TINY = { size: "426x240", seconds: "1", fps: 8 };

const client = (name = "normal", options = {}) =>
  new OpenAI({ apiKey: keyOf(name), baseURL: `${secure(name)}/openai/v1`, ...options });
const ours = client();
const isPng = (base64) => Buffer.from(base64, "base64").subarray(1, 4).toString() === "PNG";
const all = async (stream) => {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
};

test("an image is made", async () => {
  const made = await ours.images.generate({ model: "auto", prompt: "a red mug", size: SMALL });
  assert.ok(isPng(made.data[0].b64_json));
  assert.equal(made.size, SMALL);
  assert.ok(made._request_id);
});

test("an image is streamed", async () => {
  // What was made before would come at once, without previews.
  const prompt = `a lighthouse, ${randomUUID()}`;
  const asked = { prompt, size: SMALL, stream: true, partial_images: 2 };
  const events = await all(await ours.images.generate(asked));
  const partial = "image_generation.partial_image";
  assert.deepEqual(events.map(({ type }) => type), [partial, partial, "image_generation.completed"]);
  assert.notEqual(events[0].b64_json, events[1].b64_json);
  assert.ok(isPng(events.at(-1).b64_json));
});

test("an image and several images are edited", async () => {
  const image = () => toFile(sample("coffee.png"), "coffee.png", { type: "image/png" });
  const one = await ours.images.edit({
    model: "classical-cutout", prompt: "", image: await image(),
  });
  assert.equal(one.background, "transparent");
  const several = await ours.images.edit({
    model: "contact-sheet", prompt: "", cell_width: 64, image: [await image(), await image()],
  });
  assert.ok(isPng(several.data[0].b64_json));
});

test("speech is made, also while it is streamed and as events", async () => {
  const asked = { model: "auto", voice: "alloy", input: "Hello, world." };
  const whole = await ours.audio.speech.create({ ...asked, response_format: "wav" });
  const wav = Buffer.from(await whole.arrayBuffer());
  assert.equal(wav.subarray(0, 4).toString(), "RIFF");
  const streamed = await ours.audio.speech.create({ ...asked, response_format: "pcm" });
  assert.equal(streamed.headers.get("content-type"), "audio/pcm");
  let bytes = 0;
  for await (const piece of streamed.body) bytes += piece.length;
  assert.ok(bytes > 20_000);
  const events = await ours.audio.speech.create({ ...asked, stream_format: "sse" });
  assert.match(await events.text(), /speech\.audio\.delta[^]*speech\.audio\.done/);
});

const ended = async (video) => {
  while (["queued", "in_progress"].includes(video.status)) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    video = await ours.videos.retrieve(video.id);
  }
  return video;
};

test("a video is made, fetched, remixed and deleted", async () => {
  const video = await ended(await ours.videos.create({ prompt: "a boat", model: "auto", ...TINY }));
  assert.equal(video.status, "completed");
  const film = Buffer.from(await (await ours.videos.downloadContent(video.id)).arrayBuffer());
  assert.equal(film.subarray(4, 8).toString(), "ftyp");
  assert.ok((await all(ours.videos.list())).some((one) => one.id === video.id));
  const other = await ours.videos.remix(video.id, { prompt: "a red boat" });
  assert.equal(other.remixed_from_video_id, video.id);
  assert.equal((await ended(other)).status, "completed");
  assert.ok((await ours.videos.delete(video.id)).deleted);
  await assert.rejects(ours.videos.retrieve(video.id), OpenAI.NotFoundError);
});

test("webhooks tell of videos", async (context) => {
  const { url, next } = await receiver(context);
  // This package has no calls for endpoints: they are made by its way to call anything.
  const made = await ours.post("/webhook_endpoints", { body: { name: "mine", url, event_types: ["video.completed"] } });
  try {
    const prompt = `a kite, ${randomUUID()}`;
    const video = await ours.videos.create({ prompt, model: "auto", ...TINY });
    let event;
    // Other tests make videos too.
    do {
      const { headers, body } = await next();
      event = await ours.webhooks.unwrap(body, headers, made.signing_secret);
      await assert.rejects(ours.webhooks.unwrap(`${body} `, headers, made.signing_secret), OpenAI.InvalidWebhookSignatureError);
    } while (event.data.id !== video.id);
    assert.equal(event.type, "video.completed");
  } finally {
    await ours.delete(`/webhook_endpoints/${made.id}`);
  }
});

test("models are listed", async () => {
  const names = (await all(ours.models.list())).map((model) => model.id);
  for (const name of ["auto", "hero", "sketch-scene"]) assert.ok(names.includes(name), name);
});

test("what is wrong has its own class", async () => {
  const asked = { prompt: "a tree", size: SMALL };
  await assert.rejects(ours.images.generate({ ...asked, model: "nothing" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
  const stranger = client("normal", { apiKey: "wrong" });
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  await assert.rejects(client("refusing").images.generate(asked), OpenAI.BadRequestError);
  await assert.rejects(client("failing").images.generate(asked), OpenAI.InternalServerError);
  await assert.rejects(
    async () => all(await client("failing").images.generate({ ...asked, stream: true })),
    OpenAI.APIError,
  );
});

test("a call can be given up, and has a time", async () => {
  const asked = { prompt: "a tree", size: SMALL };
  const giving = new AbortController();
  setTimeout(() => giving.abort(), 200);
  const given = client("hanging").images.generate(asked, { signal: giving.signal });
  await assert.rejects(given, OpenAI.APIUserAbortError);
  const short = client("hanging", { timeout: 300, maxRetries: 0 });
  await assert.rejects(short.images.generate(asked), OpenAI.APIConnectionTimeoutError);
});

test("a retry after a timeout joins the same run", async () => {
  const patient = client("slow", { timeout: 1000, maxRetries: 4, baseURL: `${plain("slow")}/openai/v1` });
  const made = await patient.images.generate({ prompt: "a patient script", size: SMALL });
  assert.ok(isPng(made.data[0].b64_json));
});

test("a body that is too large is refused", async () => {
  const asked = { prompt: "x".repeat(65 << 20) };
  await assert.rejects(client("normal", { maxRetries: 0 }).images.generate(asked), { status: 413 });
});

test("a file that is too large is refused", async () => {
  const other = client("elsewhere", { maxRetries: 0 });
  const file = tooLarge("audio/wav");
  const tooMuch = (error) => {
    assert.ok(error instanceof OpenAI.APIError);
    assert.equal(error.status, 413);
    assert.match(error.message, /too large/);
    return true;
  };
  await assert.rejects(other.images.edit({ model: "classical-cutout", prompt: "", image: file }), tooMuch);
  await assert.rejects(other.audio.transcriptions.create({ model: "elsewhere-words", file }), tooMuch);
});
