import type { z } from "zod";
import {
  type EmbeddingResult,
  type ImageResult,
  type RerankResult,
  type ResultKind,
  resultSchemas,
} from "../../../shared/openai/results.ts";
import { imageSize } from "./image-size.ts";
import type { ResultShape } from "./result-shape.ts";

/** The document of each kind. */
export type ResultOf<Kind extends ResultKind> = z.infer<(typeof resultSchemas)[Kind]>;

/** What a worker's text was read as. */
export type ReadResult<Kind extends ResultKind> =
  | { readonly kind: "result"; readonly result: ResultOf<Kind> }
  | { readonly kind: "fault"; readonly fault: string };

/**
 * What is wrong with a worker's document, as one sentence's end, or null where it answers its
 * request. Asked before a task's books are closed: a wrong document is a failed attempt.
 */
export function resultFault(shape: ResultShape, text: string): string | null {
  const read = readResult(shape.kind, text);
  if (read.kind === "fault") return read.fault;
  switch (shape.kind) {
    case "embedding":
      return vectorsFault(shape, read.result as EmbeddingResult);
    case "rerank":
      return scoresFault(shape, read.result as RerankResult);
    case "classification": {
      const { labels } = read.result as ResultOf<"classification">;
      return countFault("inputs' labels", labels.length, shape.inputs);
    }
    case "transcription": {
      const { words } = read.result as ResultOf<"transcription">;
      return shape.words && words === null ? "it has no times of words" : null;
    }
    case "image":
      return imagesFault(shape, read.result as ImageResult);
  }
}

/** A worker's text as the document of a kind. */
export function readResult<Kind extends ResultKind>(kind: Kind, text: string): ReadResult<Kind> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The only failure of JSON.parse on a string is that the string is not JSON.
    return { kind: "fault", fault: "it is not JSON" };
  }
  const parsed = resultSchemas[kind].safeParse(value);
  if (parsed.success) return { kind: "result", result: parsed.data as ResultOf<Kind> };
  const issue = parsed.error.issues[0];
  const place = issue?.path.join(".") ?? "";
  return { kind: "fault", fault: `${place === "" ? "it" : place}: ${issue?.message ?? "wrong"}` };
}

function countFault(what: string, found: number, asked: number): string | null {
  return found === asked ? null : `it has ${found} ${what} where ${asked} were asked for`;
}

function vectorsFault(
  shape: Extract<ResultShape, { kind: "embedding" }>,
  { vectors }: EmbeddingResult,
): string | null {
  const count = countFault("vectors", vectors.length, shape.vectors);
  if (count !== null) return count;
  let dimensions = shape.dimensions;
  for (const [index, text] of vectors.entries()) {
    const vector = vectorOf(text);
    if (vector === null) return `vector ${index} is not whole 32-bit floats`;
    dimensions ??= vector.length;
    if (vector.length !== dimensions) {
      return `vector ${index} has ${vector.length} dimensions instead of ${dimensions}`;
    }
    if (!vector.every(Number.isFinite)) return `vector ${index} holds what is no number`;
  }
  return null;
}

/** Little-endian 32-bit floats from base64, or null where the bytes are no whole floats. */
export function vectorOf(base64: string): Float32Array | null {
  const text = atob(base64);
  if (text.length === 0 || text.length % 4 !== 0) return null;
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  // Every platform we run on is little-endian itself.
  return new Float32Array(bytes.buffer);
}

function scoresFault(
  shape: Extract<ResultShape, { kind: "rerank" }>,
  { scores }: RerankResult,
): string | null {
  const wrong = scores.findIndex((score) => score < 0 || score > 1);
  if (wrong >= 0) return `score ${wrong} is ${scores[wrong]}, which is not between 0 and 1`;
  return countFault("scores", scores.length, shape.scores);
}

function imagesFault(
  shape: Extract<ResultShape, { kind: "image" }>,
  { images, format }: ImageResult,
): string | null {
  if (shape.format !== null && format !== shape.format) {
    return `its images are ${format} where ${shape.format} was asked for`;
  }
  for (const [index, image] of images.entries()) {
    const size = imageSize(image, format);
    if (size === null) return `image ${index} is no ${format}`;
    if (size !== shape.size) return `image ${index} is ${size} where ${shape.size} was asked for`;
  }
  return countFault("images", images.length, shape.images);
}
