import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../../worker-agent/engine/engine.ts";
import { writeListener } from "../../helpers/onnx-models.ts";
import { spell, wavOf } from "../../helpers/sounds.ts";
import { never, type OnnxPlace, onnxPlace } from "./onnx-engine.ts";

let here: OnnxPlace;
beforeAll(async () => {
  here = await onnxPlace();
});
afterAll(() => here[Symbol.asyncDispose]());

describe("a speech model", () => {
  function transcribe(engine: Engine, file: Buffer, more = {}) {
    const request = { model: "m", audio: file.toString("base64"), file_name: "a.wav", ...more };
    return engine.perform({ kind: "transcription", request }, never);
  }

  test.each([
    [16_000, {}],
    [44_100, { bits: 24 }],
    [8_000, { bits: 32, isFloat: true }],
  ] as const)("writes down what sounds at %i samples a second", async (rate, form) => {
    await using engine = await here.open(writeListener(here.at(`listener-${rate}`)));
    expect(engine.model.abilities).toEqual(["transcription", "audio:wav"]);
    const sound = spell("octo the cell", rate);
    const { result, usage } = await transcribe(engine, wavOf([sound, sound], { rate, ...form }));
    expect(result).toEqual({
      text: "octo the cell",
      language: null,
      duration_s: 2.6,
      segments: null,
      words: null,
    });
    // Three seconds begun, and a token a letter.
    expect(usage).toEqual({ prompt: 150, completion: 13, cached: 0 });
  });

  test("hears a long sound in windows without a seam", async () => {
    await using engine = await here.open(writeListener(here.at("long-listener")));
    const text = "the cello coo hello tecto ".repeat(16).trim();
    const { result } = await transcribe(
      engine,
      wavOf([spell(text, 8_000)], { rate: 8_000, bits: 8 }),
    );
    expect(result).toMatchObject({ text, duration_s: 83 });
  });

  test("writes nothing for silence", async () => {
    await using engine = await here.open(writeListener(here.at("silence")));
    const silence = wavOf([Array.from({ length: 16_000 }, () => 0)], { rate: 16_000 });
    const { result, usage } = await transcribe(engine, silence);
    expect(result).toMatchObject({ text: "" });
    expect(usage).toEqual({ prompt: 50, completion: 0, cached: 0 });
  });

  test("refuses what it cannot hear, and hears the next", async () => {
    await using engine = await here.open(writeListener(here.at("refusing")));
    const good = wavOf([spell("octo", 16_000)], { rate: 16_000 });
    const empty = wavOf([[]], { rate: 16_000 });
    for (const [file, reason] of [
      [Buffer.from("ID3 and so on, long enough"), "it is MP3; this worker reads WAV"],
      [good.subarray(0, 1_000), "it is cut off: 956 of 25600 bytes of sound are there"],
      [empty, "it has no sound"],
    ] as const) {
      await expect(transcribe(engine, file)).rejects.toMatchObject({
        code: "invalid_request",
        message: expect.stringContaining(reason) as string,
      });
    }
    await expect(transcribe(engine, good, { prompt: "names" })).rejects.toThrow(
      "Cannot follow a prompt: this model hears without one; leave it out",
    );
    expect((await transcribe(engine, good)).result).toMatchObject({ text: "octo" });
  });
});
