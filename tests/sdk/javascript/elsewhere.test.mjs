// What no offline model does, by every SDK that has a call for it: `provider.py` does it, behind a server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateSync } from "node:zlib";

import { ElevenLabsClient, ElevenLabsError } from "@elevenlabs/elevenlabs-js";
import { createFalClient } from "@fal-ai/client";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import Replicate from "replicate";

import { keyOf, sample, secure } from "./server.mjs";

const NAME = "elsewhere";
const [PICTURES, SOUNDS, WORDS] = ["elsewhere-pictures", "elsewhere-sounds", "elsewhere-words"];
const [ROOT, KEY] = [secure(NAME), keyOf(NAME)];
const RATE = 24_000;

const openai = new OpenAI({ apiKey: KEY, baseURL: `${ROOT}/openai/v1` });
const elevenlabs = new ElevenLabsClient({ apiKey: KEY, baseUrl: `${ROOT}/elevenlabs` });
const gemini = new GoogleGenAI({ apiKey: KEY, vertexai: false, httpOptions: { baseUrl: `${ROOT}/gemini` } });
const replicate = new Replicate({ auth: KEY, baseUrl: `${ROOT}/replicate/v1` });
const fal = createFalClient({
  credentials: KEY,
  requestMiddleware: async (request) => {
    const { host, pathname, search } = new URL(request.url);
    const part = { "fal.run": "run", "queue.fal.run": "queue", "rest.fal.ai": "rest" }[host];
    return { ...request, url: part ? `${ROOT}/fal/${part}${pathname}${search}` : request.url };
  },
});

const picture = sample("coffee.png");
const file = () => new File([picture], "coffee.png", { type: "image/png" });
const size = (png) => [png.readUInt32BE(16), png.readUInt32BE(20)];

/** Expects a picture as large as the one that was sent, all in this colour: the provider gives no other. */
const isColoured = (png, colour) => {
  assert.deepEqual(size(png), size(picture));
  const begin = png.indexOf("IDAT");
  const rows = inflateSync(png.subarray(begin + 4, begin + 4 + png.readUInt32BE(begin - 4)));
  assert.deepEqual([...rows.subarray(1, 4)], colour);
};
const [RED, GREEN, BLUE] = [[255, 0, 0], [0, 160, 0], [0, 0, 255]];

/** So many seconds of silence. */
const sound = (seconds) => {
  const bytes = seconds * RATE * 2;
  const head = Buffer.from("RIFF    WAVEfmt                     data    ");
  head.writeUInt32LE(36 + bytes, 4);
  [[16, 4], [1, 2], [1, 2], [RATE, 4], [RATE * 2, 4], [2, 2], [16, 2]].reduce((at, [value, width]) => {
    head.writeUIntLE(value, at, width);
    return at + width;
  }, 16);
  head.writeUInt32LE(bytes, 40);
  return Buffer.concat([head, Buffer.alloc(bytes)]);
};

test("openai edits by words", async () => {
  const made = await openai.images.edit({ model: "auto", image: file(), prompt: "make it red" });
  isColoured(Buffer.from(made.data[0].b64_json, "base64"), RED);
  const refused = openai.images.edit({ model: PICTURES, image: file(), prompt: "refuse it" });
  await assert.rejects(refused, { status: 400, code: "content_policy_violation" });
  const failed = openai.images.edit({ model: PICTURES, image: file(), prompt: "fail now" });
  await assert.rejects(failed, { status: 502, code: "provider_failed" });
});

test("gemini edits by words", async () => {
  const inlineData = { data: picture.toString("base64"), mimeType: "image/png" };
  const contents = [{ inlineData }, "make it green"];
  for (const model of ["auto", PICTURES]) {
    const { candidates } = await gemini.models.generateContent({ model, contents });
    isColoured(Buffer.from(candidates[0].content.parts[0].inlineData.data, "base64"), GREEN);
  }
});

test("replicate edits by words", async () => {
  const [made] = await replicate.run(`elsewhere/${PICTURES}`, { input: { prompt: "make it blue", images: [file()] } });
  isColoured(Buffer.from(await (await made.blob()).arrayBuffer()), BLUE);
});

test("fal edits by words, also as a job", async () => {
  const input = { prompt: "make it red", image_urls: [file()] };
  const { data } = await fal.subscribe(`elsewhere/${PICTURES}/edit-image`, { input, pollInterval: 50 });
  isColoured(Buffer.from(await (await fetch(data.images[0].url)).arrayBuffer()), RED);
  const asked = { input: { prompt: "make it blue", image_url: file() }, pollInterval: 50 };
  const job = await fal.subscribe(`elsewhere/${PICTURES}/inpaint-image`, asked);
  isColoured(Buffer.from(await (await fetch(job.data.images[0].url)).arrayBuffer()), BLUE);
  const failing = { input: { ...asked.input, prompt: "fail now" }, pollInterval: 50 };
  await assert.rejects(fal.subscribe(`elsewhere/${PICTURES}/inpaint-image`, failing), { status: 500 });
});

test("elevenlabs makes sounds", async () => {
  const convert = async (asked) => {
    const pieces = [];
    for await (const piece of await elevenlabs.textToSoundEffects.convert(asked, { maxRetries: 0 })) pieces.push(piece);
    return Buffer.concat(pieces);
  };
  const pcm = await convert({ text: "a door", durationSeconds: 1.5, outputFormat: "pcm_24000" });
  assert.equal(pcm.length, 1.5 * RATE * 2);
  assert.ok(pcm.some((byte) => byte !== 0));
  const told = (status, word) => (error) =>
    error instanceof ElevenLabsError && error.statusCode === status && error.body.detail.status === word;
  await assert.rejects(convert({ text: "refuse it" }), told(403, "content_against_policy"));
  await assert.rejects(convert({ text: "fail now" }), told(424, "provider_failed"));
});

test("replicate makes sounds", async () => {
  const made = await replicate.run(`elsewhere/${SOUNDS}`, { input: { prompt: "a bell", duration: 1 } });
  const wav = Buffer.from(await (await made.blob()).arrayBuffer());
  assert.equal(wav.length, 44 + RATE * 2);
});

test("openai takes down what is said", async () => {
  const heard = (more) => {
    const file = new File([sound(2)], "a.wav", { type: "audio/wav" });
    return openai.audio.transcriptions.create({ model: WORDS, file, ...more });
  };
  assert.equal((await heard()).text, "en second 1. en second 2.");
  assert.equal((await heard({ language: "de", model: "auto" })).text, "de second 1. de second 2.");
  const verbose = await heard({ response_format: "verbose_json" });
  assert.deepEqual(verbose.segments.map(({ start, end }) => [start, end]), [[0, 1], [1, 2]]);
  assert.match(await heard({ response_format: "srt" }), /2\n00:00:01,000 --> 00:00:02,000\nen second 2\./);
  await assert.rejects(heard({ model: "elsewhere-word" }), OpenAI.NotFoundError);
  await assert.rejects(heard({ file: new File(["no sound"], "a.wav") }), OpenAI.BadRequestError);
});
