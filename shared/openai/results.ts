import { z } from "zod";

/**
 * What engines answer to tasks whose answer is one document instead of a text that grows. It
 * travels as the text of choice 0, in parts, and the edge shapes OpenAI's answer from it.
 */

/** One vector an input, in order: little-endian 32-bit floats as base64. */
const embeddingResultSchema = z.object({
  vectors: z.array(z.base64().min(1)).min(1).max(2048),
});
export type EmbeddingResult = z.infer<typeof embeddingResultSchema>;

/** One relevance a document, in the order of the request: higher is more relevant, 0 to 1. */
const rerankResultSchema = z.object({
  scores: z.array(z.number()).min(1).max(1000),
});
export type RerankResult = z.infer<typeof rerankResultSchema>;

const label = z.object({ label: z.string().max(256), score: z.number().min(0).max(1) });

/** For each input its labels, the likeliest first. */
const classificationResultSchema = z.object({
  labels: z.array(z.array(label).min(1).max(1000)).min(1).max(2048),
});
export type ClassificationResult = z.infer<typeof classificationResultSchema>;

const seconds = z.number().min(0);
const segment = z.object({ start: seconds, end: seconds, text: z.string() });
const word = z.object({ start: seconds, end: seconds, word: z.string() });

const transcriptionResultSchema = z.object({
  text: z.string(),
  /** ISO 639-1, or null where the engine does not tell. */
  language: z.string().max(16).nullable(),
  duration_s: seconds,
  /** Null where the engine knows no times. */
  segments: z.array(segment).max(100_000).nullable(),
  words: z.array(word).max(1_000_000).nullable(),
});
export type TranscriptionResult = z.infer<typeof transcriptionResultSchema>;

const imageResultSchema = z.object({
  /** Whole files as base64, one an image asked for. */
  images: z.array(z.base64().min(1)).min(1).max(10),
  format: z.enum(["png", "jpeg", "webp"]),
});
export type ImageResult = z.infer<typeof imageResultSchema>;

/** The schema of each kind's document. */
export const resultSchemas = {
  embedding: embeddingResultSchema,
  rerank: rerankResultSchema,
  classification: classificationResultSchema,
  transcription: transcriptionResultSchema,
  image: imageResultSchema,
} as const;

export type ResultKind = keyof typeof resultSchemas;
export type TaskResult =
  | EmbeddingResult
  | RerankResult
  | ClassificationResult
  | TranscriptionResult
  | ImageResult;
