import { z } from "zod";
import type { DeclaredSpeed } from "../../shared/protocol/listing.ts";
import { taskKinds } from "../../shared/openai/task-kinds.ts";

const rate = z.number().min(0).max(1e9);

/** One point of the concurrency curve. */
const levelSchema = z.object({
  streams: z.int().min(1).max(4096),
  /** Of all streams together. */
  perSecond: rate,
});
export type Level = z.infer<typeof levelSchema>;

/** What was measured of one engine on this machine. */
export const benchmarkSchema = z.object({
  kind: z.enum(taskKinds),
  /** What the rates count: `tokens`, or what one result is made of. */
  unit: z.string().max(32),
  /** To the first token of a short prompt, nothing else running; else to the whole result. */
  firstMs: rate,
  /** Of a longer prompt; 0 where the task has none. */
  promptTokensPerS: rate,
  /** One stream alone. */
  perSecond: rate,
  curve: z.array(levelSchema).max(32),
  /** Why more streams failed than the curve has, though there are slots; null where none did. */
  loadFault: z.string().max(512).nullable(),
  /** The longest prompt that was really evaluated. */
  contextTokens: z.int().min(0).max(100_000_000),
  /** Why a longer prompt failed that the model should take; null where none did. */
  contextFault: z.string().max(512).nullable(),
  tookMs: rate,
});
export type Benchmark = z.infer<typeof benchmarkSchema>;

/** People read about so many tokens a second: a slower answer is waited for word by word. */
const readingPerSecond = 5;
/** More slots than give this part of the best total only make every answer slower. */
const enoughOfBest = 0.95;

/**
 * The smallest number of slots that reaches nearly the best total while each stream keeps the speed
 * of a reader; 1 where even a stream alone is slower. Only levels that were measured are proposed.
 */
export function bestSlots({ curve, unit }: Pick<Benchmark, "curve" | "unit">): number {
  const least = unit === "tokens" ? readingPerSecond : 0;
  const good = curve.filter(({ streams, perSecond }) => perSecond / streams >= least);
  const best = Math.max(0, ...good.map(({ perSecond }) => perSecond));
  const enough = good.filter(({ perSecond }) => perSecond >= enoughOfBest * best);
  return enough.length === 0 ? 1 : Math.min(...enough.map(({ streams }) => streams));
}

/** The measurement as a listing tells it, for a worker that serves so many slots. */
export function declaredSpeed(measured: Benchmark, slots: number): DeclaredSpeed {
  const isText = measured.unit === "tokens";
  const reached = measured.curve.filter(({ streams }) => streams <= slots);
  const full = reached.at(-1)?.perSecond ?? measured.perSecond;
  return {
    first_token_ms: Math.min(600_000, threeDigits(measured.firstMs)),
    prompt_tokens_per_s: Math.min(1e6, threeDigits(measured.promptTokensPerS)),
    // Vectors and images have no tokens to write.
    decode_tokens_per_s: isText ? Math.min(1e6, threeDigits(measured.perSecond)) : 0,
    decode_tokens_per_s_full: isText ? Math.min(1e6, threeDigits(full)) : 0,
    context_tokens: measured.contextTokens,
  };
}

/** More digits than repeat from one run to the next tell nothing. */
export function threeDigits(value: number): number {
  return value === 0 ? 0 : Number(value.toPrecision(3));
}
