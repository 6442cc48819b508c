import { z } from "zod";
import { octoOptionsSchema } from "./octo-options.ts";

/** Numbers a caller may set are bounded so that no engine meets one it cannot represent. */
const seedMax = Number.MAX_SAFE_INTEGER;
/** OpenAI's own ceiling is 128 choices; 16 keeps one request from taking every slot of a worker. */
const choicesMax = 16;
/** No served model has a longer context; more is a mistake and would ask for an absurd hold. */
export const tokensMax = 10_000_000;

const tokenLimit = z.int().min(1).max(tokensMax).nullish();

/**
 * The parameters that chat and plain completions share. `null` means "not given", as in OpenAI's
 * API.
 */
export const samplingFields = {
  model: z.string().min(1).max(200),
  max_tokens: tokenLimit,
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  n: z.int().min(1).max(choicesMax).nullish(),
  stop: z.union([z.string().min(1).max(512), z.array(z.string().min(1).max(512)).max(4)]).nullish(),
  seed: z.int().min(-seedMax).max(seedMax).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string().regex(/^\d{1,7}$/), z.number().min(-100).max(100)).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().optional(),
      include_obfuscation: z.literal(false).optional(),
    })
    .nullish(),
  user: z.string().max(512).nullish(),
  octo: octoOptionsSchema.nullish(),
} as const;

/** `max_completion_tokens` has the same bounds as the older `max_tokens`. */
export const completionTokenLimit = tokenLimit;
