import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../../worker-agent/engine/engine.ts";
import { writeWhisper } from "../../helpers/onnx-whisper.ts";
import { tone, wavOf } from "../../helpers/sounds.ts";
import { never, type OnnxPlace, onnxPlace } from "./onnx-engine.ts";

const rate = 16_000;
let here: OnnxPlace;
let engine: Engine;

function silence(seconds: number): Buffer {
  return wavOf([Array.from({ length: rate * seconds }, () => 0)], { rate });
}

function transcribe(of: Engine, file: Buffer, more = {}, signal = never) {
  const request = { model: "m", audio: file.toString("base64"), file_name: "a.wav", ...more };
  return of.perform({ kind: "transcription", request }, signal);
}

beforeAll(async () => {
  here = await onnxPlace();
  engine = await here.open(writeWhisper(here.at("two-languages"), 2));
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  await here[Symbol.asyncDispose]();
});

describe("a model in the form of Whisper", () => {
  test("is made of its two graphs", () => {
    expect(engine.model).toMatchObject({
      architecture: "whisper",
      abilities: ["transcription", "audio:wav"],
      // Two hours of sound.
      contextTokens: 360_000,
    });
  });

  test("writes text with its times, and the tokens of the text are counted", async () => {
    const { result, usage } = await transcribe(engine, silence(3));
    expect(result).toEqual({
      text: "hello world",
      language: "en",
      duration_s: 3,
      segments: [{ start: 0, end: 2, text: " hello world" }],
      words: null,
    });
    expect(usage).toEqual({ prompt: 150, completion: 2, cached: 0 });
  });

  test("finds out the language, unless it is told", async () => {
    const loud = wavOf([tone(440, { rate, seconds: 1 })], { rate });
    expect((await transcribe(engine, loud)).result).toMatchObject({ language: "fr" });
    const told = await transcribe(engine, loud, { language: "en" });
    expect(told.result).toMatchObject({ language: "en", text: "hello world" });
    await expect(transcribe(engine, loud, { language: "xx" })).rejects.toMatchObject({
      code: "invalid_request",
      message: 'Cannot hear "xx" with this model: it knows en, fr',
    });
  });

  test("ends no later than the sound does", async () => {
    const { result } = await transcribe(engine, silence(1));
    expect(result).toMatchObject({ segments: [{ start: 0, end: 1 }] });
  });

  test("hears a long sound half minute by half minute", async () => {
    const { result, usage } = await transcribe(engine, silence(70));
    expect(result).toMatchObject({ duration_s: 70, language: "en" });
    expect((result as { text: string }).text).toMatch(/^hello world( hello world)+$/);
    expect(usage.prompt).toBe(50 * 70);
  });

  test("samples where a temperature is asked for", async () => {
    const { result } = await transcribe(engine, silence(1), { temperature: 0.5 });
    expect(result).toMatchObject({ text: "hello world" });
  });

  test("stops between half minutes when nobody waits any more, and hears the next", async () => {
    const abort = new AbortController();
    const gone = transcribe(engine, silence(60), {}, abort.signal);
    abort.abort(new Error("gone"));
    await expect(gone).rejects.toThrow("gone");
    expect((await transcribe(engine, silence(1))).result).toMatchObject({ text: "hello world" });
  });

  test("of one language does not guess it", async () => {
    await using other = await here.open(writeWhisper(here.at("one-language"), 1));
    const { result } = await transcribe(other, silence(3), { language: "en" });
    expect(result).toMatchObject({ text: "hello world", language: null });
  });
});
