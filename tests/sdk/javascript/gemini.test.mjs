// The @google/genai SDK: content, pictures, videos, files, models.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { ApiError, BlockedReason, FinishReason, GoogleGenAI, Modality } from "@google/genai";

import { keyOf, plain, sample, secure, tooLarge } from "./server.mjs";

const MODEL = "sketch-scene";
const PNG = "iVBORw0KGgo";
// What nobody looks at need not be large.
const SMALL = { imageConfig: { aspectRatio: "1:1", imageSize: "512" } };
const CLIP = { durationSeconds: 1, resolution: "240p" };
const client = (name = "normal", at = secure, apiKey = keyOf(name)) =>
  new GoogleGenAI({ apiKey, vertexai: false, httpOptions: { baseUrl: `${at(name)}/gemini` } });
const normal = client();
const data = (response) => response.candidates[0].content.parts[0].inlineData.data;

const failed = (status, words = "") => (error) => {
  assert.ok(error instanceof ApiError, String(error));
  assert.equal(error.status, status);
  assert.ok(error.message.includes(words), error.message);
  return true;
};

test("content is a picture", async () => {
  const response = await normal.models.generateContent({ model: MODEL, contents: "A red mug", config: SMALL });
  assert.ok(data(response).startsWith(PNG));
  assert.equal(response.candidates[0].finishReason, FinishReason.STOP);
  const unencrypted = client("normal", plain);
  assert.ok(data(await unencrypted.models.generateContent({ model: "hero", contents: "A mug", config: SMALL })));
});

test("shape and seed are heeded", async () => {
  const config = { imageConfig: { aspectRatio: "16:9", imageSize: "512" }, seed: 5 };
  const response = await normal.models.generateContent({ model: MODEL, contents: "A mug", config });
  const bytes = Buffer.from(data(response), "base64");
  assert.deepEqual([bytes.readUInt32BE(16), bytes.readUInt32BE(20)], [512, 288]);
});

test("content is streamed", async () => {
  // What was made before would come at once, without previews.
  const contents = `A mug in the sun, ${randomUUID()}`;
  const stream = await normal.models.generateContentStream({ model: MODEL, contents, config: SMALL });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.deepEqual(chunks.map((chunk) => chunk.candidates[0].content.parts[0].thought), [true, true, undefined]);
  assert.notEqual(data(chunks[0]), data(chunks[1]));
  assert.equal(chunks.at(-1).candidates[0].finishReason, FinishReason.STOP);
  assert.ok(data(chunks.at(-1)).startsWith(PNG));
});

test("speech is content", async () => {
  const config = { responseModalities: [Modality.AUDIO] };
  const response = await normal.models.generateContent({ model: "auto", contents: "Good morning.", config });
  assert.match(response.candidates[0].content.parts[0].inlineData.mimeType, /rate=24000/);
});

test("files are uploaded, used, listed, fetched and deleted", async () => {
  const file = await normal.files.upload({
    file: new Blob([sample("coffee.png")], { type: "image/png" }),
    config: { displayName: "coffee" },
  });
  assert.equal(file.state, "ACTIVE");
  assert.equal((await normal.files.get({ name: file.name })).uri, file.uri);
  const contents = [{ fileData: { fileUri: file.uri, mimeType: file.mimeType } }];
  const larger = await normal.models.generateContent({ model: "back-projection-upscaler", contents });
  assert.ok(data(larger).startsWith(PNG));
  const names = [];
  for await (const one of await normal.files.list({ config: { pageSize: 2 } })) names.push(one.name);
  assert.ok(names.includes(file.name));
  await normal.files.delete({ name: file.name });
  await assert.rejects(normal.files.get({ name: file.name }), failed(404));
});

const ended = async (mine, operation) => {
  for (let tries = 0; !operation.done; tries += 1) {
    assert.ok(tries < 300);
    await new Promise((resolve) => setTimeout(resolve, 200));
    operation = await mine.operations.getVideosOperation({ operation });
  }
  return operation;
};

for (const [how, at] of [["with", secure], ["without", plain]]) {
  test(`a video is made and fetched, ${how} encryption`, async () => {
    const mine = client("normal", at);
    const begun = await mine.models.generateVideos({ model: MODEL, source: { prompt: "A mug turns" }, config: CLIP });
    const { response } = await ended(mine, begun);
    const downloadPath = join(mkdtempSync(join(tmpdir(), "impasto-")), "mug.mp4");
    await mine.files.download({ file: response.generatedVideos[0], downloadPath });
    for (let tries = 0; tries < 100; tries += 1) {
      // The file is there before it is whole.
      if (readFileSync(downloadPath).length > 1000) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(readFileSync(downloadPath).subarray(4, 8).toString(), "ftyp");
  });
}

test("a video is made of a picture", async () => {
  const image = { imageBytes: sample("coffee.png").toString("base64"), mimeType: "image/png" };
  const begun = await normal.models.generateVideos({
    model: "camera-moves",
    source: { image },
    config: { durationSeconds: 1 },
  });
  const { response } = await ended(normal, begun);
  assert.match(response.generatedVideos[0].video.uri, /^https:.*files\/[0-9a-f]{64}/);
});

test("a video that failed has an error, one that was refused a reason", async () => {
  const ask = (mine) => mine.models.generateVideos({ model: MODEL, source: { prompt: "A mug" }, config: CLIP });
  const failing = client("failing");
  assert.equal((await ended(failing, await ask(failing))).error.code, 13);
  const refusing = client("refusing");
  assert.equal((await ended(refusing, await ask(refusing))).response.raiMediaFilteredCount, 1);
});

test("pictures are predicted as in the cloud", async () => {
  const mine = new GoogleGenAI({
    vertexai: true,
    apiKey: keyOf(),
    httpOptions: { baseUrl: `${secure()}/gemini` },
  });
  const made = await mine.models.generateImages({ model: MODEL, prompt: "A mug", config: { numberOfImages: 2 } });
  assert.equal(made.generatedImages.length, 2);
  assert.ok(made.generatedImages[0].image.imageBytes.startsWith(PNG));
});

test("errors are told in the SDK's own shape", async () => {
  const generate = (mine, more) => mine.models.generateContent({ model: MODEL, contents: "A mug", ...more });
  await assert.rejects(generate(normal, { model: "sketch-scenes" }), failed(404, "sketch-scene"));
  await assert.rejects(generate(normal, { config: { responseModalities: ["TEXT"] } }), failed(400, "IMAGE"));
  await assert.rejects(generate(client("normal", secure, "wrong")), failed(401));
  await assert.rejects(generate(client("failing")), failed(500));
  await assert.rejects(generate(normal, { contents: "x".repeat(70 << 20) }), failed(413, "too large"));
  const refused = await generate(client("refusing"));
  assert.equal(refused.promptFeedback.blockReason, BlockedReason.PROHIBITED_CONTENT);
});

test("a call is given up by its signal", async () => {
  const giveUp = new AbortController();
  const config = { abortSignal: giveUp.signal };
  const call = client("hanging").models.generateContent({ model: MODEL, contents: "A mug", config });
  setTimeout(() => giveUp.abort(), 300);
  await assert.rejects(call, { name: "AbortError" });
});

test("a client has a time", async () => {
  const config = { httpOptions: { timeout: 1000 } };
  const contents = `A mug, ${randomUUID()}`;
  const call = client("hanging").models.generateContent({ model: MODEL, contents, config });
  // The server is told the time too: whoever is first says so.
  await assert.rejects(call, (error) => error.name === "AbortError" || failed(504, "DEADLINE_EXCEEDED")(error));
});

test("a file that is too large is refused", async () => {
  await assert.rejects(normal.files.upload({ file: tooLarge("image/png") }), failed(400, "the most is"));
});

test("models are listed", async () => {
  const names = [];
  for await (const model of await normal.models.list({ config: { pageSize: 4 } })) names.push(model.name);
  assert.ok(names.includes("models/auto") && names.includes("models/sketch-scene"), names.join());
  assert.equal((await normal.models.get({ model: "sketch-voice" })).name, "models/sketch-voice");
});
