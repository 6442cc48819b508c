/**
 * A minute's worth, in one of Cloudflare's locations, as `wrangler.toml` has them; a test holds the
 * two together.
 */
export const ratesPerMinute = {
  // Ten a second: a console that refreshes all it shows, and no loop that went wrong.
  CALLS_BY_CALLER: 600,
  // An audit asks every account once, and reads a thousand transfers a call.
  CALLS_BY_OPERATOR: 6_000,
  // A program that signs in for each request, twenty times a minute, and an office behind one.
  TRIES_BY_ADDRESS: 60,
} as const;

/** All that the counters know of time. */
export const ratePeriodS = 60 as const;
