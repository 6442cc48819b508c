import { z } from "zod";

/**
 * A worker that keeps failing is left alone for a while, then tried with one task at a time. Kept
 * under its identity with what else is known of it, so that coming back on a new connection is no
 * way around it.
 * B1. Closed, it is asked like any other. After `failuresMax` failures in a row it opens.
 * B2. Open, it is not asked. Each opening after a failed trial lasts twice as long.
 * B3. When its time is over it is half open: one task at a time, until one succeeds.
 * B4. An engine that says how long it wants to be left alone is left alone for so long.
 */
export const breakerSchema = z.object({
  /** Failures in a row. */
  failures: z.int().min(0),
  /** How often it has opened without a success in between. */
  openings: z.int().min(0),
  /** When it may be tried again; null while it is closed. */
  untilMs: z.int().nullable(),
});
export type Breaker = z.infer<typeof breakerSchema>;

export function closedBreaker(): Breaker {
  return { failures: 0, openings: 0, untilMs: null };
}

/** One failure is chance, two may be; at three the next task is better off elsewhere. */
const failuresMax = 3;
/** A crashed engine is started again within seconds. */
const firstOpenMs = 5_000;
/** Whoever was mended is found within minutes. */
const longestOpenMs = 5 * 60_000;
/** Workers that failed together do not come back together. */
const jitter = 0.2;

/** The breaker after a failure. `random` gives numbers in [0, 1). */
export function afterFailure(
  breaker: Breaker,
  at: { readonly nowMs: number; readonly random: () => number; readonly retryAfterMs: number },
): Breaker {
  const { nowMs, random, retryAfterMs } = at;
  const failures = breaker.failures + 1;
  const isTrial = breaker.untilMs !== null;
  // B4: it is asked to wait, which is no fault.
  const restMs = retryAfterMs > 0 ? nowMs + Math.min(retryAfterMs, longestOpenMs) : null;
  // Attempts that ran while it opened fail late, and tell nothing new but what they ask for.
  if (breaker.untilMs !== null && nowMs < breaker.untilMs) {
    return { ...breaker, failures, untilMs: Math.max(breaker.untilMs, restMs ?? 0) };
  }
  if (!isTrial && failures < failuresMax) return { ...breaker, failures, untilMs: restMs };
  const openMs = Math.min(longestOpenMs, firstOpenMs * 2 ** breaker.openings);
  const untilMs = Math.round(nowMs + openMs * (1 + jitter * (2 * random() - 1)));
  return {
    failures,
    openings: breaker.openings + 1,
    untilMs: Math.max(untilMs, restMs ?? 0),
  };
}

/** Notes that a worker has failed. */
export function noteFailure(
  memory: { breaker: Breaker },
  at: Parameters<typeof afterFailure>[1],
): void {
  memory.breaker = afterFailure(memory.breaker, at);
}

/**
 * Whether a worker may be given a task (B2, B3); `trialsSince` tells whether it was given one since
 * a time.
 */
export function mayTry(
  { untilMs }: Breaker,
  nowMs: number,
  trialsSince: (ms: number) => boolean,
): boolean {
  return untilMs === null || (nowMs >= untilMs && !trialsSince(untilMs));
}
