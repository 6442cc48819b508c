import { describe, expect, test } from "vitest";
import { UsageError } from "../../cli/failures.ts";
import { amountOf, dayOf, endOf, limitsOf, scopesOf, spanOf } from "../../cli/words/values.ts";

describe("an amount of credits", () => {
  test.each([
    ["5", 5_000_000n],
    ["0.25", 250_000n],
    ["0.000001", 1n],
    ["007.10", 7_100_000n],
    // 2^53 - 1 micros: what JSON carries exactly.
    ["9007199254.740991", 9_007_199_254_740_991n],
  ])("%s is %s micros", (text, micros) => {
    expect(amountOf(text, "an amount")).toBe(micros);
  });

  test.each([
    "",
    "0",
    "0.0",
    "-1",
    "+1",
    "1e3",
    "1,5",
    ".5",
    "5.",
    "0.0000001",
    "0x10",
    " 5",
    "5 ",
    "٥",
    "Infinity",
    "NaN",
    "9007199254.740992",
    "9".repeat(40),
  ])("%j is none", (text) => {
    expect(() => amountOf(text, "an amount")).toThrow(UsageError);
  });

  test("that is too large is told how large it may be", () => {
    expect(() => amountOf("99999999999999", "an amount")).toThrow(
      'Cannot use "99999999999999" as an amount: it must be 9007199254.740991 credits at most',
    );
  });
});

describe("limits", () => {
  test("are words with numbers, budgets in credits", () => {
    expect(
      limitsOf("rpm=60,tpm=1000,concurrency=4,max-tokens=9,day=0.5,month=10,end=hard"),
    ).toEqual({
      requests_per_minute: 60,
      tokens_per_minute: 1000,
      concurrency: 4,
      max_tokens: 9,
      day_budget_micros: 500_000,
      month_budget_micros: 10_000_000,
      budget_end: "hard",
    });
  });

  test("are the JSON of the API too, limits of single models included", () => {
    const limits = { models: { "octo-tiny": { requests_per_minute: 1 } } };
    expect(limitsOf(JSON.stringify(limits))).toEqual(limits);
  });

  test.each([
    "",
    "rpm",
    "rpm=",
    "rpm=-1",
    "rpm=1.5",
    "rpm=1,rpm=2",
    "speed=1",
    "day=1e3",
    "end=maybe",
    "{}",
    "{",
    '{"balance":1}',
    "constructor=1",
    "rpm=9999999999999",
  ])("%j are none", (text) => {
    expect(() => limitsOf(text)).toThrow(UsageError);
  });
});

describe("times", () => {
  const nowMs = Date.parse("2026-11-28T12:00:00Z");

  test.each([
    ["12h", "2026-11-29T00:00:00.000Z"],
    ["30d", "2026-12-28T12:00:00.000Z"],
    // With the day, in UTC: a key that works until today works today.
    ["2026-11-28", "2026-11-29T00:00:00.000Z"],
  ])("%s from now is %s", (text, end) => {
    expect(endOf(text, "--expires", nowMs)).toBe(end);
  });

  test.each(["", "30", "0d", "-1d", "2026-11-27", "2026-13-01", "2027-02-29", "1w", "soon"])(
    "%j is no end",
    (text) => {
      expect(() => endOf(text, "--expires", nowMs)).toThrow(UsageError);
    },
  );

  test("days are those of the calendar", () => {
    expect(dayOf("2028-02-29", "--from")).toBe("2028-02-29");
    expect(() => dayOf("2027-02-29", "--from")).toThrow(UsageError);
    expect(spanOf("90m", "--grace")).toBe(5_400_000);
  });
});

test("scopes are those there are", () => {
  expect(scopesOf("inference, read-only")).toEqual(["inference", "read-only"]);
  expect(() => scopesOf("root")).toThrow(/inference, management, read-only, operator/);
});
