import { z } from "zod";
import { ratesPerMinute } from "./per-minute.ts";

/** Cloudflare's counters, each with its limit (`[[ratelimits]]` in `wrangler.toml`). */
export interface Rates {
  /** Calls of one caller that run no inference. */
  readonly caller: RateLimit;
  /** The same of an operator. */
  readonly operator: RateLimit;
  /** What one address tried in vain, or may try without a key. */
  readonly address: RateLimit;
}

const names = Object.keys(ratesPerMinute) as (keyof typeof ratesPerMinute)[];

const counter = z
  .custom<RateLimit>((value) => {
    return typeof (value as { readonly limit?: unknown } | undefined)?.limit === "function";
  }, "a rate limiting binding, [[ratelimits]] in wrangler.toml")
  .optional();

export const rateFields = {
  OCTO_RATES: z.enum(["on", "off"], '"on" or "off"').default("on"),
  CALLS_BY_CALLER: counter,
  CALLS_BY_OPERATOR: counter,
  TRIES_BY_ADDRESS: counter,
};

/** The counters; null where a deployment goes without. Throws one sentence where one is missing. */
export function ratesOf(values: z.infer<z.ZodObject<typeof rateFields>>): Rates | null {
  if (values.OCTO_RATES === "off") return null;
  const { CALLS_BY_CALLER: caller, CALLS_BY_OPERATOR: operator } = values;
  const { TRIES_BY_ADDRESS: address } = values;
  if (caller !== undefined && operator !== undefined && address !== undefined) {
    return { caller, operator, address };
  }
  const missing = names.filter((name) => values[name] === undefined).join(", ");
  throw new Error(
    `Cannot start: ${missing} must be rate limiting bindings, [[ratelimits]] in wrangler.toml, ` +
      'or OCTO_RATES must be "off" where something else limits callers',
  );
}
