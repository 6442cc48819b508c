import type { Rate, RateLimits } from "./billing/limits/rate-limits.ts";

/** OpenAI's headers that say what is left of limits a minute. */
export const rateHeaderNames = ["limit", "remaining", "reset"].flatMap((what) =>
  ["requests", "tokens"].map((of) => `x-ratelimit-${what}-${of}`),
);

/** The headers of the tightest limits; none where nothing is limited by the minute. */
export function rateHeaders(rates: RateLimits | null): Record<string, string> {
  return { ...headersOf("requests", rates?.requests), ...headersOf("tokens", rates?.tokens) };
}

function headersOf(of: string, rate: Rate | null | undefined): Record<string, string> {
  if (rate === null || rate === undefined) return {};
  return {
    [`x-ratelimit-limit-${of}`]: String(rate.limit),
    [`x-ratelimit-remaining-${of}`]: String(rate.remaining),
    [`x-ratelimit-reset-${of}`]: formatWait(rate.resetMs),
  };
}

/** A time as OpenAI has it, which is how Go writes durations: `20ms`, `1.5s`, `6m0s`. */
export function formatWait(ms: number): string {
  if (ms === 0) return "0s";
  if (ms < 1_000) return `${ms}ms`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = (ms % 60_000) / 1_000;
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds}s`;
}
