import { z } from "zod";
import { samplingFields } from "./sampling.ts";

/**
 * The body of `POST /v1/completions`, OpenAI's older form: one prompt as text. Prompts as token ids
 * or as several strings are refused, because ids mean something else to every model.
 */
export const completionRequestSchema = z.looseObject({
  ...samplingFields,
  prompt: z.union([z.string(), z.array(z.string()).length(1)]),
  logprobs: z.int().min(0).max(5).nullish(),
  echo: z.literal(false).nullish(),
  best_of: z.literal(1).nullish(),
  suffix: z.null().optional(),
});

export type CompletionRequest = z.infer<typeof completionRequestSchema>;
