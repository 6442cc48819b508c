import { z } from "zod";
import { octoOptionsSchema } from "./octo-options.ts";

/** OpenAI's own ceiling on inputs of one request. */
const inputsMax = 2048;

const text = z.string("expected text: token ids mean something else to every model").min(1);

/**
 * The body of `POST /v1/embeddings`. Inputs as token ids are refused, because ids mean something
 * else to every model.
 */
export const embeddingRequestSchema = z.looseObject({
  model: z.string().min(1).max(200),
  input: z.union([text, z.array(text).min(1).max(inputsMax)]),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  /** Asks for a shorter vector; only models trained for it can (Matryoshka embeddings). */
  dimensions: z.int().min(1).max(65_536).nullish(),
  user: z.string().max(512).nullish(),
  octo: octoOptionsSchema.nullish(),
});

export type EmbeddingRequest = z.infer<typeof embeddingRequestSchema>;
