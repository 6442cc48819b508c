import { expect, test } from "vitest";
import {
  ChangedError,
  retryAfterMs,
  retryDelayMs,
  TransientError,
} from "../../../worker-agent/models/transient-error.ts";

const policy = { attemptsMax: 4, firstRetryMs: 500 };

test("each failure in a row doubles the wait, until it is time to give up", () => {
  const broken = new TypeError("terminated");
  const delays = [1, 2, 3, 4].map((failures) => retryDelayMs(failures, broken, policy));
  expect(delays).toEqual([500, 1000, 2000, null]);
  expect(retryDelayMs(20, broken, { ...policy, attemptsMax: 99 })).toBe(30_000);
});

test("a server that asks for a longer wait gets it, up to ten minutes", () => {
  expect(retryDelayMs(1, new TransientError("busy", 7000), policy)).toBe(7000);
  expect(retryDelayMs(1, new TransientError("busy", 7), policy)).toBe(500);
  expect(retryDelayMs(1, new TransientError("busy", 600_001), policy)).toBeNull();
});

test("what trying again cannot help is not tried again", () => {
  expect(retryDelayMs(1, new ChangedError(), policy)).toBeNull();
  expect(retryDelayMs(1, new Error("no space left on device"), policy)).toBeNull();
});

test("Retry-After is seconds or a date, and anything else is nothing", () => {
  const nowMs = Date.parse("Wed, 21 Oct 2026 07:28:00 GMT");
  expect(retryAfterMs("120", nowMs)).toBe(120_000);
  expect(retryAfterMs("Wed, 21 Oct 2026 07:29:00 GMT", nowMs)).toBe(60_000);
  expect(retryAfterMs("Wed, 21 Oct 2026 07:27:00 GMT", nowMs)).toBe(0);
  expect(retryAfterMs("soon", nowMs)).toBe(0);
  expect(retryAfterMs(null, nowMs)).toBe(0);
});
