import { describe, expect, test } from "vitest";
import { engineBody, type ResultRequest } from "../../../edge/inference/engine-request.ts";
import { boundsOf } from "../../../edge/inference/token-bounds.ts";
import { embeddingRequestSchema } from "../../../shared/openai/embedding-request.ts";
import { imageRequestSchema } from "../../../shared/openai/image-request.ts";
import { rerankRequestSchema } from "../../../shared/openai/rerank-request.ts";
import {
  embeddingDemands,
  imageDemands,
  rerankDemands,
  transcriptionDemands,
} from "../../../shared/openai/result-demands.ts";
import { transcriptionRequestSchema } from "../../../shared/openai/transcription-request.ts";
import { wavFile } from "../../helpers/wav-file.ts";

function embedding(fields: Record<string, unknown>): ResultRequest {
  const request = embeddingRequestSchema.parse({ model: "m", ...fields });
  return { kind: "embedding", request, demands: embeddingDemands(request) };
}

function rerank(fields: Record<string, unknown>): ResultRequest {
  const request = rerankRequestSchema.parse({ model: "m", ...fields });
  return { kind: "rerank", request, demands: rerankDemands(request) };
}

function image(fields: Record<string, unknown> = {}): ResultRequest {
  const request = imageRequestSchema.parse({ model: "m", prompt: "fox", ...fields });
  return { kind: "image", request, demands: imageDemands(request) };
}

function recording(bytes: Buffer, fields: Record<string, unknown> = {}): ResultRequest {
  const audio = bytes.toString("base64");
  const file = { model: "m", audio, file_name: "a.wav" };
  const request = transcriptionRequestSchema.parse({ ...file, ...fields });
  return { kind: "transcription", request, demands: transcriptionDemands(request) };
}

function bounds(wanted: ResultRequest, contextTokens = 512) {
  return boundsOf(wanted, engineBody(wanted), { contextTokens });
}

describe("texts that are read apart", () => {
  test("are bounded by their bytes and by the context, each of them", () => {
    const wanted = embedding({ input: ["héllo", "x".repeat(10_000)] });
    expect(bounds(wanted)).toEqual({ promptTokensMax: 6 + 64 + 512, completionTokensMax: 0 });
  });

  test("have the query again beside every document", () => {
    const wanted = rerank({ query: "four", documents: ["a", "bb"] });
    expect(bounds(wanted).promptTokensMax).toBe(4 + 1 + 64 + 4 + 2 + 64);
  });
});

describe("images", () => {
  test.each<[string, Record<string, unknown>, number]>([
    ["of the usual size", {}, 1024],
    ["of several", { n: 3 }, 3072],
    ["of a size that is no square", { size: "64x128" }, 4 * 8],
  ])("%s cost exactly their pixels, whatever the context", (_, fields, tokens) => {
    expect(bounds(image(fields), 77)).toEqual({
      promptTokensMax: 3 + 64,
      completionTokensMax: tokens,
    });
  });
});

describe("a recording", () => {
  const seconds = (wanted: ResultRequest) => (bounds(wanted).promptTokensMax - 64) / 50;

  test("of plain sound is as long as its header says", () => {
    expect(seconds(recording(wavFile(10)))).toBeCloseTo(10, 0);
    expect(seconds(recording(wavFile(10, 16_000)))).toBeCloseTo(10, 1);
    expect(seconds(recording(extensibleWav(1)))).toBeCloseTo(7.5, 0);
  });

  test("has its figures computed, whatever the header says of bytes a second", () => {
    const forged = wavFile(10);
    forged.writeUInt32LE(4_000_000_000, 28);
    expect(seconds(recording(forged))).toBeCloseTo(10, 0);
  });

  test("may have other chunks before its format", () => {
    const plain = wavFile(10);
    const note = Buffer.alloc(8 + 5 + 1);
    note.write("LIST", 0, "latin1");
    note.writeUInt32LE(5, 4);
    const noted = Buffer.concat([plain.subarray(0, 12), note, plain.subarray(12)]);
    expect(seconds(recording(noted))).toBeCloseTo(10, 0);
  });

  test.each<[string, Buffer]>([
    ["is compressed", Buffer.alloc(7_500, 7)],
    ["is a WAV file of compressed sound", compressedWav()],
    ["is nothing but a header's beginning", Buffer.from("RIFF    WAVE".padEnd(7_500))],
    ["says it is slower than any speech", wavFile(7_456, 1)],
    ["says it has 65,535 channels", changedWav(22, 0xffff)],
    ["says it has millions of samples a second", changedWav(26, 0xffff)],
    ["says it has samples of 65,528 bits", changedWav(34, 0xfff8)],
    ["says that its format is another's, and has none", changedWav(20, 0xfffe)],
    ["has compressed sound under the newer header", extensibleWav(0x55)],
    ["has no sound after its format", wavFile(7.456).fill("junk", 36, 40, "latin1")],
  ])("that %s is as long as the lowest rate would make it", (_, bytes) => {
    expect(seconds(recording(bytes))).toBeCloseTo(10, 1);
  });

  test("with two formats is as long as the slower of them makes it", () => {
    const slow = wavFile(10);
    const fast = Buffer.from(slow.subarray(12, 36));
    fast.writeUInt32LE(768_000, 12);
    for (const order of [
      [slow.subarray(12, 36), fast],
      [fast, slow.subarray(12, 36)],
    ]) {
      const file = Buffer.concat([slow.subarray(0, 12), ...order, slow.subarray(36)]);
      expect(seconds(recording(file))).toBeCloseTo(10, 0);
    }
  });

  test("has its format found behind a picture", () => {
    const plain = wavFile(100);
    const picture = Buffer.alloc(8 + 10_000);
    picture.write("LIST", 0, "latin1");
    picture.writeUInt32LE(10_000, 4);
    const file = Buffer.concat([plain.subarray(0, 12), picture, plain.subarray(12)]);
    expect(seconds(recording(file))).toBeCloseTo(110, 0);
  });

  test("bounds the text as well, with its prompt counted apart", () => {
    const wanted = recording(wavFile(10), { prompt: "names" });
    const { promptTokensMax, completionTokensMax } = bounds(wanted, 1);
    expect(promptTokensMax).toBe(bounds(recording(wavFile(10))).promptTokensMax + 5);
    expect(completionTokensMax).toBe(448 + 151);
  });
});

/** MPEG layer 3 in a WAV file. */
const compressedWav = () => changedWav(20, 0x55);

/** 7,500 bytes that are a good WAV file but for one number of its header. */
function changedWav(at: number, value: number): Buffer {
  const bytes = wavFile(7.456);
  bytes.writeUInt16LE(value, at);
  return bytes;
}

/** 7,500 bytes of a WAV file with the header of 2001, whose samples are of this format. */
function extensibleWav(format: number): Buffer {
  const plain = wavFile(7.432);
  plain.writeUInt32LE(40, 16);
  plain.writeUInt16LE(0xfffe, 20);
  const extension = Buffer.alloc(24);
  extension.writeUInt16LE(format, 8);
  return Buffer.concat([plain.subarray(0, 36), extension, plain.subarray(36)]);
}

describe("what an engine gets", () => {
  const body = (wanted: ResultRequest) => JSON.parse(engineBody(wanted)) as unknown;

  test("has nothing of how the answer is shaped, nor of whom it is for", () => {
    const shaped = { encoding_format: "base64", user: "u", dimensions: null };
    expect(body(embedding({ input: "a", ...shaped }))).toEqual({ model: "m", input: "a" });
    const ranked = { query: "q", documents: ["a", { text: "b" }] };
    expect(body(rerank({ ...ranked, top_n: 1, return_documents: true }))).toEqual({
      model: "m",
      query: "q",
      documents: ["a", "b"],
    });
    const fields = { response_format: "srt", language: "en" };
    expect(body(recording(Buffer.from("abc"), fields))).toEqual({
      model: "m",
      audio: "YWJj",
      file_name: "a.wav",
      language: "en",
    });
  });

  test("always has an image's size", () => {
    const expected = { model: "m", prompt: "fox", size: "512x512" };
    expect(body(image({ response_format: "b64_json" }))).toEqual(expected);
  });
});
