import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { WallClock, Window } from "../../../worker-agent/serving/hours.ts";
import { isWithin, nextTurnMs, parseHours } from "../../../worker-agent/serving/hours.ts";

/** The wall's clock of a place, changes of the clock included. */
function clockOf(timeZone: string): WallClock {
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  return (atMs) => {
    const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, value]));
    const minute = Number(parts.get("hour")) * 60 + Number(parts.get("minute"));
    return { day: days.indexOf(parts.get("weekday") ?? ""), minute };
  };
}

const utc = clockOf("UTC");
const berlin = clockOf("Europe/Berlin");

function windows(text: string): readonly Window[] {
  const parsed = parseHours(text);
  if (parsed === null) throw new Error(`${text} is read`);
  return parsed;
}

function isOpen(text: string, at: string, clock = utc): boolean {
  return isWithin(windows(text), clock(Date.parse(at)));
}

test.for([
  // 2026-11-20 is a Friday.
  ["09:00-17:00", "2026-11-20T09:00Z", true],
  ["09:00-17:00", "2026-11-20T16:59Z", true],
  ["09:00-17:00", "2026-11-20T17:00Z", false],
  ["22:00-07:00", "2026-11-20T23:00Z", true],
  ["22:00-07:00", "2026-11-20T06:59Z", true],
  ["22:00-07:00", "2026-11-20T12:00Z", false],
  ["Fri 22:00-07:00", "2026-11-20T23:00Z", true],
  ["Fri 22:00-07:00", "2026-11-21T06:00Z", true],
  ["Fri 22:00-07:00", "2026-11-20T06:00Z", false],
  ["22:00-07:00, Sat-Sun", "2026-11-21T12:00Z", true],
  ["22:00-07:00, Sat-Sun", "2026-11-20T12:00Z", false],
  ["Sat-Mon", "2026-11-23T23:59Z", true],
  ["sat-mon", "2026-11-24T00:00Z", false],
  ["00:00-24:00", "2026-11-20T23:59Z", true],
  ["08:00-08:00", "2026-11-20T03:00Z", true],
] as const)("%s at %s: open is %s", ([text, at, expected]) => {
  expect(isOpen(text, at)).toBe(expected);
});

test.for([
  "",
  "always",
  "9-17",
  "25:00-26:00",
  "24:00-01:00",
  "09:00-17:60",
  "Mon-Fri-Sat",
  "Mon 09:00-17:00 x",
  "09:00-17:00 Mon",
  "Mon,,Tue",
])("%j is no window", (text) => {
  expect(parseHours(text)).toBeNull();
});

test("an hour that the clock skips opens nothing, and what ends in it ends with it", () => {
  // Berlin, 2026-03-29: 02:00 becomes 03:00.
  expect(isOpen("02:00-03:00", "2026-03-29T00:59Z", berlin)).toBe(false);
  expect(isOpen("02:00-03:00", "2026-03-29T01:00Z", berlin)).toBe(false);
  expect(isOpen("22:00-02:30", "2026-03-29T00:59Z", berlin)).toBe(true);
  expect(isOpen("22:00-02:30", "2026-03-29T01:00Z", berlin)).toBe(false);
  const turn = nextTurnMs(windows("22:00-02:30"), Date.parse("2026-03-29T00:10Z"), berlin);
  expect(turn).toBe(Date.parse("2026-03-29T01:00Z"));
});

test("an hour that comes twice is open twice", () => {
  // Berlin, 2026-10-25: 03:00 becomes 02:00.
  expect(isOpen("02:00-03:00", "2026-10-25T00:30Z", berlin)).toBe(true);
  expect(isOpen("02:00-03:00", "2026-10-25T01:30Z", berlin)).toBe(true);
  const turn = nextTurnMs(windows("02:00-03:00"), Date.parse("2026-10-25T00:30Z"), berlin);
  expect(turn).toBe(Date.parse("2026-10-25T02:00Z"));
});

test("windows that cover everything never turn", () => {
  expect(nextTurnMs(windows("Mon-Sun"), Date.parse("2026-11-20T12:00Z"), utc)).toBeNull();
});

test("the next turn is the first minute at which it is otherwise, in any week and place", () => {
  const minute = fc.integer({ min: 0, max: 24 * 60 - 1 });
  const days = fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1 });
  const window = fc.record({ days, fromMinute: minute, toMinute: minute }).map((one) => ({
    ...one,
    days: new Set(one.days),
  }));
  // Around both changes of the clock.
  const start = fc.constantFrom("2026-03-27T08:13Z", "2026-10-23T21:40Z").map(Date.parse);
  fc.assert(
    fc.property(fc.array(window, { minLength: 1, maxLength: 3 }), start, (some, nowMs) => {
      const turn = nextTurnMs(some, nowMs, berlin);
      const isOpenNow = isWithin(some, berlin(nowMs));
      const endMs = turn ?? nowMs + 8 * 24 * 3_600_000;
      for (let atMs = nowMs; atMs < endMs; atMs += 17 * 60_000) {
        expect(isWithin(some, berlin(atMs))).toBe(isOpenNow);
      }
      if (turn !== null) expect(isWithin(some, berlin(turn))).toBe(!isOpenNow);
    }),
    { numRuns: 20 },
  );
});
