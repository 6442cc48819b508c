import { expect, test } from "vitest";
import { formatWait, rateHeaderNames, rateHeaders } from "../../../edge/rate-headers.ts";

test.each([
  [0, "0s"],
  [1, "1ms"],
  [999, "999ms"],
  [1_000, "1s"],
  [8_640, "8.64s"],
  [59_999, "59.999s"],
  [60_000, "1m0s"],
  [360_000, "6m0s"],
  [61_500, "1m1.5s"],
])("%d ms are written as OpenAI writes them: %s", (ms, text) => {
  expect(formatWait(ms)).toBe(text);
});

test("there are headers for what is limited, and for nothing else", () => {
  const rate = { limit: 60, remaining: 59, resetMs: 1_000 };
  expect(rateHeaders(null)).toEqual({});
  expect(rateHeaders({ requests: rate, tokens: null })).toEqual({
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
  });
  const both = rateHeaders({ requests: rate, tokens: rate });
  expect(Object.keys(both).toSorted()).toEqual(rateHeaderNames.toSorted());
});
