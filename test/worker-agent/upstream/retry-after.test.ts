import { expect, test } from "vitest";
import { retryAfterMsOf } from "../../../worker-agent/upstream/retry-after.ts";

const nowMs = Date.parse("2026-11-28T12:00:00Z");

test.each([
  ["0", 0],
  ["1.5", 1_500],
  ["-3", 0],
  ["100000", 600_000],
  ["Sat, 28 Nov 2026 12:00:30 GMT", 30_000],
  ["Sat, 28 Nov 2026 11:00:00 GMT", 0],
  ["soon", null],
  [" ", null],
  [null, null],
])("retry-after %j is %j ms", (header, ms) => {
  expect(retryAfterMsOf(header, nowMs)).toBe(ms);
});
