import { z } from "zod";
import { usageAnswerSchema } from "./openai-answers.ts";

/**
 * The answers that are one document. Embeddings have OpenAI's shape, which a test holds against its
 * published schemas; reranking has the one that Jina and vLLM share, classification vLLM's.
 */

const count = z.int().min(0);
const created = z.int().meta({ description: "Seconds since 1970" });
const seconds = z.number().min(0);

const promptUsageSchema = usageAnswerSchema
  .omit({ completion_tokens: true })
  .meta({ id: "PromptUsage", description: "Tokens that were read." });

export const embeddingAnswerSchema = z
  .object({
    object: z.literal("list"),
    model: z.string(),
    data: z.array(
      z.object({
        object: z.literal("embedding"),
        index: count,
        embedding: z.union([z.array(z.number()), z.base64()]).meta({
          description: "With `encoding_format: base64` little-endian 32-bit floats as base64",
        }),
      }),
    ),
    usage: promptUsageSchema,
  })
  .meta({ id: "EmbeddingList" });

export const rerankAnswerSchema = z
  .object({
    id: z.string(),
    object: z.literal("list"),
    model: z.string(),
    results: z.array(
      z.object({
        index: count.meta({ description: "Of the request's documents" }),
        relevance_score: z.number().min(0).max(1),
        document: z.object({ text: z.string() }).optional(),
      }),
    ),
    usage: promptUsageSchema,
  })
  .meta({ id: "RerankAnswer", description: "The most relevant document first." });

export const classificationAnswerSchema = z
  .object({
    id: z.string(),
    object: z.literal("list"),
    created,
    model: z.string(),
    data: z.array(
      z.object({
        index: count.meta({ description: "Of the request's inputs" }),
        label: z.string().meta({ description: "The likeliest" }),
        probs: z.array(z.number().min(0).max(1)).meta({ description: "The highest first" }),
        labels: z.array(z.string()).meta({ description: "Whose probabilities `probs` are" }),
        num_classes: count,
      }),
    ),
    usage: promptUsageSchema,
  })
  .meta({ id: "ClassificationAnswer" });

const tokenUsage = z.object({
  type: z.literal("tokens"),
  input_tokens: count,
  output_tokens: count,
  total_tokens: count,
});
const durationUsage = z.object({ type: z.literal("duration"), seconds });

export const transcriptionAnswerSchema = z
  .object({
    text: z.string(),
    task: z.literal("transcribe").optional(),
    language: z.string().optional(),
    duration: seconds.optional().meta({ description: "Of the recording, in seconds" }),
    segments: z
      .array(z.object({ id: count, start: seconds, end: seconds, text: z.string() }))
      .optional(),
    words: z.array(z.object({ start: seconds, end: seconds, word: z.string() })).optional(),
    usage: z.discriminatedUnion("type", [tokenUsage, durationUsage]),
  })
  .meta({
    id: "Transcription",
    description: "The optional fields come with `response_format: verbose_json`.",
  });

export const imageAnswerSchema = z
  .object({
    created,
    data: z.array(z.object({ b64_json: z.base64() })),
    output_format: z.enum(["png", "jpeg", "webp"]),
    size: z.string().meta({ description: "`WIDTHxHEIGHT` in pixels" }),
    usage: z.object({
      input_tokens: count,
      input_tokens_details: z.object({ text_tokens: count, image_tokens: count }),
      output_tokens: count.meta({
        description: "A token for each 16 × 16 pixels begun, of every image",
      }),
      total_tokens: count,
    }),
  })
  .meta({ id: "ImageList" });
