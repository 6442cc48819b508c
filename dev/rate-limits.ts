import { ratePeriodS, ratesPerMinute } from "../edge/rates/per-minute.ts";

type Counter = keyof typeof ratesPerMinute;

/** The counters of `wrangler.toml` as miniflare takes them, with other limits. */
export function rateLimits(limitOf: (name: Counter) => number) {
  const names = Object.keys(ratesPerMinute) as Counter[];
  return Object.fromEntries(
    names.map((name, at) => {
      const simple = { limit: limitOf(name), period: ratePeriodS };
      return [name, { namespace_id: `${at + 1}`, simple }];
    }),
  );
}
