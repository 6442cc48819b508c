import { expect, test } from "vitest";
import { daysOf, monthBounds } from "../../../edge/routes/money/days.ts";

const nowMs = Date.UTC(2026, 10, 28, 23, 59);

test("without a word it is this month until today, and the last day counts whole", () => {
  expect(daysOf({}, nowMs)).toEqual({
    from: "2026-11-01",
    to: "2026-11-28",
    fromMs: Date.UTC(2026, 10, 1),
    beforeMs: Date.UTC(2026, 10, 29),
  });
  expect(daysOf({ to: "2026-03-05" }, nowMs).from).toBe("2026-03-01");
  expect(daysOf({ from: "2026-11-28" }, nowMs).fromMs).toBe(Date.UTC(2026, 10, 28));
});

test("a leap year is the longest there is, and one day the shortest", () => {
  expect(daysOf({ from: "2028-01-01", to: "2028-12-31" }, nowMs).to).toBe("2028-12-31");
  expect(() => daysOf({ from: "2027-01-01", to: "2028-01-02" }, nowMs)).toThrow("367 days");
  expect(daysOf({ from: "2026-05-05", to: "2026-05-05" }, nowMs).from).toBe("2026-05-05");
  expect(() => daysOf({ from: "2026-05-06", to: "2026-05-05" }, nowMs)).toThrow("after");
});

test("a month ends where the next one begins, also at the end of a year", () => {
  expect(monthBounds("2026-12")).toEqual({
    fromMs: Date.UTC(2026, 11, 1),
    beforeMs: Date.UTC(2027, 0, 1),
  });
  const february = monthBounds("2028-02");
  expect((february.beforeMs - february.fromMs) / 86_400_000).toBe(29);
});
