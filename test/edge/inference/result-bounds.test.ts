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
    ["of a size that is no multiple of sixteen", { size: "100x20" }, 7 * 2],
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
  ])("that %s is as long as the lowest rate would make it", (_, bytes) => {
    expect(seconds(recording(bytes))).toBeCloseTo(10, 1);
  });

  test("bounds the text as well, with its prompt counted apart", () => {
    const wanted = recording(wavFile(10), { prompt: "names" });
    const { promptTokensMax, completionTokensMax } = bounds(wanted, 1);
    expect(promptTokensMax).toBe(bounds(recording(wavFile(10))).promptTokensMax + 5);
    expect(completionTokensMax).toBe(448 + 151);
  });
});

function compressedWav(): Buffer {
  const bytes = wavFile(7.456);
  // MPEG layer 3 in a WAV file.
  bytes.writeUInt16LE(0x55, 20);
  return bytes;
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
