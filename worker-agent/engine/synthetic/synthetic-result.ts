import { createHash } from "node:crypto";
import { audioAbility, audioFormats } from "../../../shared/openai/audio-format.ts";
import type { Ability } from "../../../shared/openai/demands.ts";
import { imageTokens } from "../../../shared/openai/image-request.ts";
import type {
  ClassificationResult,
  RerankResult,
  TranscriptionResult,
} from "../../../shared/openai/results.ts";
import type { TranscriptionRequest } from "../../../shared/openai/transcription-request.ts";
import { cannot } from "../cannot.ts";
import { EngineError, type ResultAnswer, type ResultTask } from "../engine.ts";
import { solidPng } from "./synthetic-png.ts";

/*
 * The synthetic engine's documents: made of the request alone, so that the same request gets the
 * same answer. Vectors and images come of hashes, scores of the words two texts share; a transcript
 * has a word for every half second of the file.
 */

/** It makes vectors of one length only, so `embedding_dimensions` is not among them. */
export const resultAbilities: readonly Ability[] = [
  "embeddings",
  "rerank",
  "classification",
  "transcription",
  ...audioFormats.map(audioAbility),
  "word_timestamps",
  "images",
  "image:png",
];

/** A vector's length: as many floats as one SHA-256 has bytes. */
const dimensions = 32;
const labels = ["positive", "negative"] as const;
const secondsPerWord = 0.5;
const wordsPerSegment = 10;
/** Where a file does not tell its rate: 16 bits, 16,000 times a second. */
const bytesPerSecondDefault = 32_000;

/** The text that may hold a script. */
export function scriptTextOf(task: ResultTask): string {
  switch (task.kind) {
    case "embedding":
    case "classification":
      return textsOf(task.request.input)[0] ?? "";
    case "rerank":
      return task.request.query;
    case "transcription":
      return task.request.prompt ?? "";
    case "image":
      return task.request.prompt;
  }
}

export function composeResult(task: ResultTask): ResultAnswer {
  switch (task.kind) {
    case "embedding": {
      const texts = textsOf(task.request.input);
      if (typeof task.request.dimensions === "number") throw cannot("shorten its vectors");
      return answer({ vectors: texts.map(unitVector) }, texts);
    }
    case "classification": {
      const texts = textsOf(task.request.input);
      return answer(classified(texts), texts);
    }
    case "rerank": {
      const { query, documents } = task.request;
      return answer(ranked(query, documents), [...documents, ...documents.map(() => query)]);
    }
    case "transcription": {
      const result = transcribed(task.request);
      const words = countWords(result.text);
      return { result, usage: { prompt: words, completion: words, cached: 0 } };
    }
    case "image": {
      const { prompt, size = "512x512", n, output_format: format } = task.request;
      if ((format ?? "png") !== "png") {
        throw new EngineError("invalid_request", `Cannot make ${format}: it makes png only`);
      }
      const count = n ?? 1;
      const images = Array.from({ length: count }, (_, index) =>
        solidPng(size ?? "512x512", hash(`${prompt} ${index}`)).toString("base64"),
      );
      const completion = count * imageTokens(size ?? undefined);
      const usage = { prompt: countWords(prompt), completion, cached: 0 };
      return { result: { images, format: "png" }, usage };
    }
  }
}

function answer(result: ResultAnswer["result"], texts: readonly string[]): ResultAnswer {
  const prompt = texts.reduce((sum, text) => sum + countWords(text), 0);
  return { result, usage: { prompt, completion: 0, cached: 0 } };
}

/** A text's hash as a vector of length one: little-endian floats in base64. */
function unitVector(text: string): string {
  const values = [...hash(text)].map((byte) => byte - 127.5);
  const length = Math.hypot(...values);
  const bytes = Buffer.alloc(dimensions * 4);
  for (const [index, value] of values.entries()) bytes.writeFloatLE(value / length, index * 4);
  return bytes.toString("base64");
}

function classified(texts: readonly string[]): ClassificationResult {
  return {
    labels: texts.map((text) => {
      const first = (hash(text)[0] ?? 0) / 255;
      const scores = [first, 1 - first];
      return labels
        .map((label, index) => ({ label, score: scores[index] ?? 0 }))
        .toSorted((a, b) => b.score - a.score);
    }),
  };
}

/** The share of the query's words that a document has too. */
function ranked(query: string, documents: readonly string[]): RerankResult {
  const asked = new Set(wordsOf(query));
  return {
    scores: documents.map((document) => {
      const found = new Set(wordsOf(document));
      const shared = [...asked].filter((word) => found.has(word));
      return asked.size === 0 ? 0 : shared.length / asked.size;
    }),
  };
}

function transcribed(request: TranscriptionRequest): TranscriptionResult {
  const duration = durationOf(Buffer.from(request.audio, "base64"));
  const count = Math.ceil(duration / secondsPerWord);
  const words = Array.from({ length: count }, (_, index) => ({
    start: index * secondsPerWord,
    end: Math.min(duration, (index + 1) * secondsPerWord),
    word: `word${index + 1}`,
  }));
  const segments = Array.from({ length: Math.ceil(count / wordsPerSegment) }, (_, index) => {
    const own = words.slice(index * wordsPerSegment, (index + 1) * wordsPerSegment);
    const text = own.map(({ word }) => word).join(" ");
    return { start: own[0]?.start ?? 0, end: own.at(-1)?.end ?? 0, text };
  });
  return {
    text: segments.map(({ text }) => text).join(" "),
    language: request.language ?? "en",
    duration_s: duration,
    segments,
    words: request.timestamp_granularities?.includes("word") === true ? words : null,
  };
}

/** Seconds of a plain WAV file; of anything else as if it were one without a header. */
function durationOf(bytes: Buffer): number {
  const isWav = bytes.length >= 44 && bytes.toString("latin1", 0, 4) === "RIFF";
  if (!isWav) return bytes.length / bytesPerSecondDefault;
  const rate = bytes.readUInt32LE(28);
  return (bytes.length - 44) / (rate === 0 ? bytesPerSecondDefault : rate);
}

function textsOf(input: string | readonly string[]): readonly string[] {
  return typeof input === "string" ? [input] : input;
}

function wordsOf(text: string): readonly string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** At least one, as every text costs a model its marks of beginning and end. */
function countWords(text: string): number {
  return Math.max(1, wordsOf(text).length);
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
