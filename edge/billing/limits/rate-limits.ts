import type { Link, Meter } from "./limit-chain.ts";
import { type Bucket, countIn, refilled, takeFrom, waitMs } from "./token-bucket.ts";

/** What is left of a limit a minute. */
export interface Rate {
  readonly limit: number;
  readonly remaining: number;
  /** Until all of it is there again. */
  readonly resetMs: number;
}

/** The tightest limits that a task came under; null where there is none. */
export interface RateLimits {
  readonly requests: Rate | null;
  readonly tokens: Rate | null;
}

/** What tokens are free in a meter: those in its bucket that no running task holds. */
export function freeTokens(meter: Meter, perMinute: number, nowMs: number): Bucket {
  return takeFrom(refilled(meter.tokens, perMinute, nowMs), meter.heldTokens);
}

/** What is left of the tightest limits a minute; null where nothing is counted by the minute. */
export function ratesOf(chain: readonly Link[], nowMs: number): RateLimits | null {
  let requests: Rate | null = null;
  let tokens: Rate | null = null;
  for (const { limits, meter } of chain) {
    const { requests_per_minute: requestsMax, tokens_per_minute: tokensMax } = limits;
    if (requestsMax !== undefined) {
      const rate = rateOf(refilled(meter.requests, requestsMax, nowMs), requestsMax);
      requests = tighter(requests, rate);
    }
    if (tokensMax !== undefined) {
      tokens = tighter(tokens, rateOf(freeTokens(meter, tokensMax, nowMs), tokensMax));
    }
  }
  return requests === null && tokens === null ? null : { requests, tokens };
}

function rateOf(bucket: Bucket, limit: number): Rate {
  const resetMs = limit === 0 ? 0 : waitMs(bucket, limit, limit);
  return { limit, remaining: countIn(bucket), resetMs };
}

function tighter(a: Rate | null, b: Rate): Rate {
  if (a === null || b.remaining < a.remaining) return b;
  return b.remaining === a.remaining && b.limit < a.limit ? b : a;
}
