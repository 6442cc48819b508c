import * as fc from "fast-check";
import { expect, test } from "vitest";
import type {
  AvailabilitySettings,
  LoadReadings,
  Pause,
} from "../../../worker-agent/serving/availability.ts";
import {
  createAvailability,
  stepAvailability,
} from "../../../worker-agent/serving/availability.ts";
import { parseHours } from "../../../worker-agent/serving/hours.ts";
import { openGate, stepGate } from "../../../worker-agent/serving/load-gate.ts";

const none: LoadReadings = { cpu: null, gpu: null };
const atAllHours: AvailabilitySettings = { hours: null, maxLoad: null, yieldsGpu: false };

/** A worker's availability on a machine whose clock starts on a Thursday at midnight, in UTC. */
class Driver {
  nowMs = 0;
  pause: Pause | null = null;
  readings = none;
  readonly #settings: AvailabilitySettings;
  state = createAvailability(0);

  constructor(changes: Partial<AvailabilitySettings> = {}) {
    this.#settings = { ...atAllHours, ...changes };
  }

  /** Looks once a second for so long. */
  pass(seconds: number): this {
    for (let second = 0; second < seconds; second++) {
      this.nowMs += 1_000;
      this.look();
    }
    return this;
  }

  look(): this {
    const { nowMs, pause, readings } = this;
    const wallClock = (atMs: number) => {
      const minutes = Math.floor(atMs / 60_000);
      return { day: (4 + Math.floor(minutes / 1_440)) % 7, minute: minutes % 1_440 };
    };
    const input = { nowMs, wallClock, pause, readings };
    this.state = stepAvailability(this.state, this.#settings, input);
    return this;
  }

  get cause(): string {
    const { availability } = this.state;
    return availability.kind === "open" ? "open" : availability.cause;
  }
}

test("a pause closes at once, until its time or until it is taken back", () => {
  const driver = new Driver();
  driver.pause = { sinceMs: 0, untilMs: 10_000 };
  expect(driver.pass(1).state.availability).toMatchObject({ cause: "paused", untilMs: 10_000 });
  expect(driver.pass(8).cause).toBe("paused");
  expect(driver.pass(1).cause).toBe("open");
  driver.pause = { sinceMs: 0, untilMs: null };
  expect(driver.pass(3_600).cause).toBe("paused");
  driver.pause = null;
  expect(driver.pass(1).cause).toBe("open");
});

test("outside of its hours it is closed, and says until when", () => {
  const driver = new Driver({ hours: parseHours("00:10-00:20") });
  expect(driver.pass(1).state.availability).toMatchObject({ cause: "hours", untilMs: 600_000 });
  expect(driver.pass(598).cause).toBe("hours");
  expect(driver.pass(1).cause).toBe("open");
  expect(driver.pass(599).cause).toBe("open");
  expect(driver.pass(1).state.availability).toMatchObject({
    cause: "hours",
    untilMs: 600_000 + 24 * 3_600_000,
  });
});

test("a pause is said before the hours, and the hours before the load", () => {
  const driver = new Driver({ hours: parseHours("12:00-13:00"), maxLoad: 50 });
  driver.readings = { cpu: 100, gpu: null };
  driver.pause = { sinceMs: 0, untilMs: null };
  expect(driver.pass(60).cause).toBe("paused");
  driver.pause = null;
  expect(driver.pass(1).cause).toBe("hours");
});

test("load by others closes only where it lasts, and opens only where its end does", () => {
  const driver = new Driver({ maxLoad: 50 });
  driver.readings = { cpu: 90, gpu: null };
  expect(driver.pass(5).cause).toBe("open");
  driver.readings = { cpu: 10, gpu: null };
  driver.pass(1);
  driver.readings = { cpu: 90, gpu: null };
  expect(driver.pass(5).cause).toBe("open");
  expect(driver.pass(1).cause).toBe("load");
  driver.readings = { cpu: 45, gpu: null };
  expect(driver.pass(100).cause).toBe("load");
  driver.readings = { cpu: 40, gpu: null };
  expect(driver.pass(30).cause).toBe("load");
  expect(driver.pass(1).cause).toBe("open");
});

test("a GPU that others use closes where it is theirs, and counts as load where that has a limit", () => {
  const yielding = new Driver({ yieldsGpu: true });
  yielding.readings = { cpu: 100, gpu: 11 };
  expect(yielding.pass(6).cause).toBe("gpu");
  const limited = new Driver({ maxLoad: 60 });
  limited.readings = { cpu: 0, gpu: 61 };
  expect(limited.pass(6).cause).toBe("load");
  const careless = new Driver();
  careless.readings = { cpu: 100, gpu: 100 };
  expect(careless.pass(60).cause).toBe("open");
});

test("a reading that is missing changes nothing, until nobody will ever tell", () => {
  const driver = new Driver({ maxLoad: 50, yieldsGpu: true });
  driver.readings = { cpu: 90, gpu: 90 };
  expect(driver.pass(6).cause).toBe("gpu");
  driver.readings = none;
  expect(driver.pass(299).cause).toBe("gpu");
  driver.readings = { cpu: 90, gpu: 90 };
  driver.pass(1);
  driver.readings = none;
  expect(driver.pass(300).cause).toBe("gpu");
  // nvidia-smi has stopped answering: the worker would stay closed for ever.
  expect(driver.pass(1).cause).toBe("open");
  expect(driver.pass(3_600).cause).toBe("open");
});

test("load that was not seen to last closes nothing, and its end opens nothing", () => {
  const driver = new Driver({ maxLoad: 50 });
  for (const readings of [{ cpu: 90, gpu: null }, none, { cpu: 90, gpu: null }]) {
    driver.readings = readings;
    expect(driver.pass(4).cause).toBe("open");
  }
  expect(driver.pass(2).cause).toBe("load");
  for (const readings of [{ cpu: 0, gpu: null }, none, { cpu: 0, gpu: null }]) {
    driver.readings = readings;
    expect(driver.pass(20).cause).toBe("load");
  }
  expect(driver.pass(11).cause).toBe("open");
});

test("the time it is closed for counts from its beginning", () => {
  const driver = new Driver();
  driver.pass(10);
  driver.pause = { sinceMs: 0, untilMs: null };
  expect(driver.pass(10).state.availability.sinceMs).toBe(11_000);
});

test("a load that swings faster than its patience turns nothing", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 60 }), (lengths) => {
      let gate = openGate;
      let nowMs = 0;
      for (const [at, seconds] of lengths.entries()) {
        for (let second = 0; second < seconds; second++) {
          nowMs += 1_000;
          gate = stepGate(gate, at % 2 === 0 ? 100 : 0, { shutAbove: 50, openAt: 40 }, nowMs);
          expect(gate.isShut).toBe(false);
        }
      }
    }),
  );
});
