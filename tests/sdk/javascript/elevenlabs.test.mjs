// The official ElevenLabs package, as its users use it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ElevenLabsClient, ElevenLabsError } from "@elevenlabs/elevenlabs-js";

import { WebSocket } from "ws";

import { host, keyOf, secure } from "./server.mjs";

const client = (name = "normal", options = {}) =>
  new ElevenLabsClient({ apiKey: keyOf(name), baseUrl: `${secure(name)}/elevenlabs`, ...options });
const ours = client();
const TEXT = "Hello, world. This is a test.";

const bytes = async (stream) => {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
};
// What comes when nothing is said: MP3, or WAV where there is no ffmpeg.
const isUsual = (sound) =>
  (sound[0] === 0xff && (sound[1] & 0xe0) === 0xe0) || sound.subarray(0, 4).toString() === "RIFF";

test("speech is made and streamed", async () => {
  assert.ok(isUsual(await bytes(await ours.textToSpeech.convert("female", { text: TEXT }))));
  const asked = { text: TEXT, modelId: "draft", outputFormat: "pcm_16000" };
  const pcm = await bytes(await ours.textToSpeech.stream("JBFqnCBsd6RMkjVDRZzb", asked));
  assert.ok(pcm.length > 32_000);
});

test("speech comes with the times of its characters", async () => {
  const spoken = await ours.textToSpeech.convertWithTimestamps("female", { text: TEXT });
  assert.ok(isUsual(Buffer.from(spoken.audioBase64, "base64")));
  assert.equal(spoken.alignment.characters.join(""), TEXT);
  let text = "";
  const sound = [];
  for await (const piece of await ours.textToSpeech.streamWithTimestamps("female", { text: TEXT })) {
    sound.push(Buffer.from(piece.audioBase64, "base64"));
    text += piece.alignment?.characters.join("") ?? "";
  }
  assert.ok(isUsual(Buffer.concat(sound)));
  assert.equal(text, TEXT);
});

// The package has no helper for this socket: its users open it themselves.
const talk = (url, messages) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    const heard = [];
    socket.onopen = () => messages.forEach((message) => socket.send(JSON.stringify(message)));
    socket.onmessage = ({ data }) => heard.push(JSON.parse(data));
    socket.onclose = ({ code }) => resolve({ heard, code });
    socket.onerror = () => reject(new Error("the socket broke"));
  });

test("text that comes bit by bit is said bit by bit", async () => {
  const url = `ws://${host()}/elevenlabs/v1/text-to-speech/female/stream-input?output_format=pcm_16000`;
  const { heard, code } = await talk(url, [
    { text: " ", xi_api_key: keyOf(), generation_config: { chunk_length_schedule: [50] } },
    { text: "Hello there. " },
    { text: "This is said now, ", flush: true },
    { text: "and this comes last." },
    { text: "" },
  ]);
  assert.equal(code, 1000);
  assert.equal(heard.at(-1).isFinal, true);
  const text = heard.flatMap((one) => one.alignment?.chars ?? []).join("");
  assert.equal(text, "Hello there. This is said now,and this comes last.");
});

test("music is made, also in detail", async () => {
  const asked = { prompt: "a calm piano", musicLengthMs: 3000 };
  assert.ok(isUsual(await bytes(await ours.music.compose(asked))));
  const detailed = await ours.music.composeDetailed(asked);
  assert.ok(isUsual(Buffer.from(detailed.audio)));
  assert.ok(detailed.json.compositionPlan.sections.length > 0);
});

test("voices and models are listed", async () => {
  const { voices } = await ours.voices.getAll();
  assert.ok(voices.some((voice) => voice.voiceId === "male-deep"));
  const page = await ours.voices.search({ pageSize: 3 });
  assert.equal(page.voices.length, 3);
  assert.ok(page.hasMore);
  const models = await ours.models.list();
  assert.ok(models.some((model) => model.modelId === "sketch-voice"));
});

test("what is wrong is told", async () => {
  const status = (wanted, word) => (error) => {
    assert.ok(error instanceof ElevenLabsError);
    assert.equal(error.statusCode, wanted);
    assert.equal(error.body.detail.status, word);
    return true;
  };
  const say = (other, voice, asked = {}) =>
    other.textToSpeech.convert(voice, { text: "Hello.", ...asked });
  await assert.rejects(say(ours, "nobody"), status(404, "voice_not_found"));
  await assert.rejects(say(ours, "female", { modelId: "nothing" }), status(404, "model_not_found"));
  await assert.rejects(say(client("normal", { apiKey: "wrong" }), "female"), status(401, "invalid_api_key"));
  await assert.rejects(say(client("refusing"), "female"), status(403, "content_against_policy"));
  await assert.rejects(say(client("failing"), "female"), status(424, "provider_failed"));
  await assert.rejects(
    ours.textToSoundEffects.convert({ text: "a door" }), status(404, "not_found"));
});

test("a call can be given up, and has a time", async () => {
  const say = (options) =>
    client("hanging").textToSpeech.convert("female", { text: "Hello." }, { maxRetries: 0, ...options });
  await assert.rejects(say({ timeoutInSeconds: 0.5 }));
  // The package forgets its own timer when a call is given up, and Node waits for that.
  await assert.rejects(say({ abortSignal: AbortSignal.timeout(200), timeoutInSeconds: 2 }));
});

test("a body that is too large is refused", async () => {
  const asked = ours.textToSpeech.convert("female", { text: "x".repeat(65 << 20) });
  await assert.rejects(asked, (error) => error.statusCode === 413);
});
