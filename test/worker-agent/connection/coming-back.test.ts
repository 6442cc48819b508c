import { describe, expect, test } from "vitest";
import { closeCodes } from "../../../shared/protocol/close-codes.ts";
import { offerFor, SessionDriver, welcome } from "./session-driver.ts";

test.for([
  { after: "its first failure", failures: 0, reason: "", expected: 250 },
  { after: "its third failure", failures: 2, reason: "", expected: 1_000 },
  { after: "many failures", failures: 40, reason: "", expected: 15_000 },
  { after: "a spread", failures: 0, reason: "spread_ms=15000", expected: 7_500 },
])("a worker comes back after $after by the rule", ({ failures, reason, expected }) => {
  const driver = new SessionDriver();
  driver.tell({ kind: "start" });
  for (let failure = 0; failure < failures; failure++) {
    driver.tell({ kind: "closed", code: 1006, reason: "" });
    driver.fire("retry");
  }
  driver.tell({ kind: "closed", code: closeCodes.restart, reason });
  expect((driver.timers.get("retry") ?? 0) - driver.nowMs).toBe(expected);
});

test("a worker that is refused comes back, soon at first and then ever more slowly", () => {
  const driver = new SessionDriver();
  driver.tell({ kind: "start" });
  const waits = Array.from({ length: 9 }, (_, number) => {
    driver.chance = number % 2 === 0 ? 0 : 0.999;
    driver.greet();
    driver.tell({ kind: "closed", code: closeCodes.refused, reason: "not taken on" });
    const waitMs = (driver.timers.get("retry") ?? 0) - driver.nowMs;
    driver.fire("retry");
    return Math.round(waitMs / 100) / 10;
  });
  expect(waits).toEqual([2.5, 10, 10, 40, 40, 159.9, 150, 299.9, 150]);
});

test("a worker that is refused in the middle of an answer does not hurry back", () => {
  const driver = new SessionDriver().serve();
  driver.frame(offerFor(1));
  driver.tell({ kind: "closed", code: closeCodes.refused, reason: "let go" });
  expect((driver.timers.get("retry") ?? 0) - driver.nowMs).toBe(3_750);
});

test("a worker with an attempt running is back within two seconds, whatever the spread", () => {
  const driver = new SessionDriver().serve();
  driver.chance = 0.999;
  driver.frame(offerFor(1));
  const effects = driver.tell({ kind: "closed", code: 4503, reason: "spread_ms=60000" });
  expect(effects.map(({ kind }) => kind)).toContain("lose-attempts");
  expect((driver.timers.get("retry") ?? 0) - driver.nowMs).toBeLessThan(2_000);
});

test.for([
  { how: "without a word", code: 1006, spreadMs: 15_000, expected: 7_500 },
  { how: "as its machine goes away", code: 1001, spreadMs: 15_000, expected: 7_500 },
  { how: "from a hub with few workers", code: 1006, spreadMs: 100, expected: 250 },
  { how: "from an edge that wishes for nothing", code: 1006, spreadMs: undefined, expected: 250 },
  { how: "for a reason of its own", code: closeCodes.malformed, spreadMs: 15_000, expected: 250 },
])("a connection lost $how is dialled again by the rule", ({ code, spreadMs, expected }) => {
  const driver = new SessionDriver();
  driver.tell({ kind: "start" });
  driver.greet();
  driver.frame({ ...welcome, ...(spreadMs === undefined ? {} : { spread_ms: spreadMs }) });
  driver.tell({ kind: "closed", code, reason: "" });
  expect((driver.timers.get("retry") ?? 0) - driver.nowMs).toBe(expected);
  // The spread is for the first try; from then on it is full jitter.
  driver.fire("retry");
  driver.tell({ kind: "closed", code: 1006, reason: "" });
  expect((driver.timers.get("retry") ?? 0) - driver.nowMs).toBe(500);
});

describe("the hub a worker had", () => {
  const dials = (driver: SessionDriver) =>
    driver.effects.flatMap((effect) => (effect.kind === "dial" ? [effect.hub] : []));

  test("is asked for in the next dial, until it answers or not", () => {
    const driver = new SessionDriver().serve();
    driver.tell({ kind: "closed", code: 1006, reason: "" });
    driver.fire("retry");
    driver.tell({ kind: "closed", code: 1006, reason: "" });
    driver.fire("retry");
    expect(dials(driver)).toEqual([null, "weur:0", "weur:0"]);
  });

  test.each([closeCodes.restart, closeCodes.hubFull])(
    "is not asked for again once it has closed with %d",
    (code) => {
      const driver = new SessionDriver().serve();
      driver.tell({ kind: "closed", code, reason: "spread_ms=10" });
      driver.fire("retry");
      expect(dials(driver)).toEqual([null, null]);
    },
  );
});

test("a session that lived for half a minute clears the count of failures", () => {
  const driver = new SessionDriver();
  driver.tell({ kind: "start" });
  for (let failure = 0; failure < 9; failure++) {
    driver.tell({ kind: "closed", code: 1006, reason: "" });
    driver.fire("retry");
  }
  driver.serve();
  driver.nowMs += 30_000;
  driver.tell({ kind: "closed", code: 1006, reason: "" });
  expect((driver.timers.get("retry") ?? 0) - driver.nowMs).toBe(250);
});
