import { z } from "zod";

/** How a choice ended. `error` and `cancelled` never reach a consumer as a success. */
export const finishReasons = ["stop", "length", "tool_calls", "content_filter"] as const;
export type FinishReason = (typeof finishReasons)[number];

/** The longest tokens of known vocabularies are some hundred spaces. */
const tokenCharsMax = 1024;

const topLogprob = z.object({
  token: z.string().max(tokenCharsMax),
  logprob: z.number(),
  /** Of one token: no character of a string takes more than three in UTF-8. */
  bytes: z
    .array(z.int().min(0).max(255))
    .max(3 * tokenCharsMax)
    .nullable(),
});

/** One token's entry in `choices[].logprobs.content`. */
export const tokenLogprobSchema = topLogprob.extend({ top_logprobs: z.array(topLogprob).max(20) });
export type TokenLogprob = z.infer<typeof tokenLogprobSchema>;

/**
 * A piece of one tool call, in the shape of OpenAI's streamed deltas: the id and name come once,
 * arguments in parts.
 */
const toolCallDeltaSchema = z.object({
  index: z.int().min(0).max(127),
  id: z.string().max(128).optional(),
  name: z.string().max(128).optional(),
  arguments: z.string().optional(),
});
export type ToolCallDelta = z.infer<typeof toolCallDeltaSchema>;

/** Tokens by their numbers in a model's vocabulary; none has more than a billion. */
export const tokenIdsMax = 1_000_000;
export const tokenIdsSchema = z.array(z.int().min(0).max(1_000_000_000)).max(tokenIdsMax);

/**
 * A piece of one choice as an engine makes it and the wire carries it. `tokens` is how many tokens
 * it stands for; text that is held back (a stop sequence, half a character) comes with a later
 * part.
 */
export const outputPartSchema = z.object({
  index: z.int().min(0).max(127),
  tokens: z.int().min(0).max(1_000_000),
  text: z.string().optional(),
  reasoning: z.string().optional(),
  tool_calls: z.array(toolCallDeltaSchema).max(128).optional(),
  logprobs: z.array(tokenLogprobSchema).max(4096).optional(),
  /**
   * The model's tokens, in order: together with those of the parts before they spell at least all
   * text so far. Only where they were asked for.
   */
  token_ids: tokenIdsSchema.optional(),
});
export type OutputPart = z.infer<typeof outputPartSchema>;

export const finishSchema = z.object({
  index: z.int().min(0).max(127),
  reason: z.enum(finishReasons),
});
export type Finish = z.infer<typeof finishSchema>;

const count = z.int().min(0).max(100_000_000);

/**
 * Tokens of one answer as the worker counts them; `cached` of the prompt's were found in a cache.
 */
export const usageSchema = z.object({
  prompt: count,
  completion: count,
  cached: count,
});
export type Usage = z.infer<typeof usageSchema>;
