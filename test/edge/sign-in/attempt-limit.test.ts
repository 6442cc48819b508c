import { expect, test } from "vitest";
import { AttemptLimit, networkOf } from "../../../edge/sign-in/attempt-limit.ts";

/** How many of many attempts at one time are let through. */
function allowed(limit: AttemptLimit, address: string | null, nowMs: number): number {
  let count = 0;
  for (; count < 1_000; count++) {
    try {
      limit.take(address, nowMs);
    } catch {
      // Refused: the count is what was let through before.
      return count;
    }
  }
  return count;
}

test("an address has thirty at once and one every two seconds", () => {
  const limit = new AttemptLimit();
  expect(allowed(limit, "192.0.2.1", 0)).toBe(30);
  expect(allowed(limit, "192.0.2.1", 1_999)).toBe(0);
  expect(allowed(limit, "192.0.2.1", 4_000)).toBe(2);
  expect(allowed(limit, "192.0.2.1", 10 * 60_000)).toBe(30);
  expect(allowed(limit, "192.0.2.2", 0)).toBe(30);
});

test("who is refused is told when to come again, and that is true", () => {
  const limit = new AttemptLimit();
  allowed(limit, "192.0.2.1", 0);
  expect(() => limit.take("192.0.2.1", 0)).toThrow("wait 2 s");
  expect(() => limit.take("192.0.2.1", 2_000)).not.toThrow();
});

test("a clock that goes back gives nothing away", () => {
  const limit = new AttemptLimit();
  limit.take("192.0.2.1", 60_000);
  expect(allowed(limit, "192.0.2.1", 0)).toBe(29);
  expect(allowed(limit, "192.0.2.1", 60_000)).toBe(0);
});

test("without a known address nobody is limited", () => {
  expect(allowed(new AttemptLimit(), null, 0)).toBe(1_000);
});

test("only so many addresses are remembered, those used last", () => {
  const limit = new AttemptLimit();
  allowed(limit, "first", 0);
  for (let i = 0; i < 9_999; i++) limit.take(`10.0.${i >> 8}.${i & 255}`, 0);
  expect(allowed(limit, "first", 0)).toBe(0);
  limit.take("192.0.2.9", 0);
  expect(allowed(limit, "first", 0)).toBe(30);
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:DB8:1:2::6", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["::1", "0:0:0:0"],
  ["::", "0:0:0:0"],
  ["1::2:3:4:5:6:7", "1:0:2:3"],
])("the network of %s is %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});
