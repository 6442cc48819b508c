import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { EngineHealth } from "../../../worker-agent/engine/engine.ts";
import type {
  SupervisionEffect,
  SupervisionEvent,
} from "../../../worker-agent/serving/supervision.ts";
import {
  createSupervision,
  reduceSupervision,
} from "../../../worker-agent/serving/supervision-state.ts";

const ready: EngineHealth = { kind: "ready" };
const broken: EngineHealth = { kind: "failing", reason: "the GPU is gone" };

class Driver {
  nowMs = 0;
  state = createSupervision(["a", "b"], 0);

  tell(event: SupervisionEvent): readonly SupervisionEffect[] {
    const step = reduceSupervision(this.state, event, this.nowMs);
    this.state = step.state;
    return step.effects;
  }

  /** Lets time pass until something is due, and gives what. */
  wait(ms: number): readonly SupervisionEffect[] {
    this.nowMs += ms;
    return this.tell({ kind: "tick" });
  }

  looked(health: EngineHealth, model = "a"): readonly SupervisionEffect[] {
    return this.tell({ kind: "looked", model, health });
  }

  failTask(code: "engine_failed" | "out_of_memory" | "invalid_request" = "engine_failed") {
    return this.tell({ kind: "task-failed", model: "a", code, message: "It broke" });
  }
}

test("every engine is looked at again and again, one look at a time", () => {
  const driver = new Driver();
  expect(driver.wait(4_999)).toEqual([]);
  const both = ["a", "b"].map((model) => ({ kind: "look", model, isRetry: false }));
  expect(driver.wait(1)).toEqual(both);
  expect(driver.wait(60_000)).toEqual([]);
  driver.looked(ready);
  expect(driver.wait(5_000)).toEqual([{ kind: "look", model: "a", isRetry: false }]);
});

test("a failing engine is withdrawn, tried at growing intervals, and comes back when it is well", () => {
  const driver = new Driver();
  driver.wait(5_000);
  driver.looked(ready, "b");
  expect(driver.looked(broken)).toEqual([{ kind: "turned", model: "a", health: broken }]);
  const retry = { kind: "look", model: "a", isRetry: true };
  for (const ms of [1_000, 2_000, 4_000]) {
    driver.looked(ready, "b");
    expect(driver.wait(ms - 1)).not.toContainEqual(retry);
    driver.looked(ready, "b");
    expect(driver.wait(1)).toContainEqual(retry);
    expect(driver.looked(broken)).toEqual([]);
  }
  driver.wait(8_000);
  expect(driver.looked(ready)).toEqual([{ kind: "turned", model: "a", health: ready }]);
});

test("an engine that was opened again is looked at without waiting for its next turn", () => {
  const driver = new Driver();
  driver.wait(5_000);
  driver.looked(broken);
  expect(driver.tell({ kind: "changed", model: "a" })).toEqual([
    { kind: "look", model: "a", isRetry: false },
  ]);
  expect(driver.looked(ready)).toEqual([{ kind: "turned", model: "a", health: ready }]);
});

test("an engine that comes back while it is looked at is looked at again", () => {
  const driver = new Driver();
  driver.wait(5_000);
  driver.tell({ kind: "changed", model: "a" });
  expect(driver.looked(broken)).toContainEqual({ kind: "look", model: "a", isRetry: false });
});

test("a task that failed has its engine looked at at once, and once more after a look under way", () => {
  const driver = new Driver();
  const look = { kind: "look", model: "a", isRetry: false };
  expect(driver.failTask()).toEqual([look]);
  expect(driver.failTask("out_of_memory")).toEqual([]);
  expect(driver.looked(ready)).toEqual([look]);
  expect(driver.looked(ready)).toEqual([]);
});

test("a task that failed by its own fault says nothing about the engine", () => {
  const driver = new Driver();
  for (let task = 0; task < 10; task++) expect(driver.failTask("invalid_request")).toEqual([]);
});

test("three failed tasks in a row withdraw an engine that says it is well", () => {
  const driver = new Driver();
  driver.failTask();
  driver.failTask();
  driver.tell({ kind: "task-done", model: "a" });
  driver.failTask();
  driver.failTask();
  const reason = "Its last 3 tasks failed: It broke";
  expect(driver.failTask()).toEqual([
    { kind: "turned", model: "a", health: { kind: "failing", reason } },
  ]);
});

test("a look begun before the third failure does not bring the engine back", () => {
  const driver = new Driver();
  for (let task = 0; task < 3; task++) driver.failTask();
  expect(driver.looked(ready)).toEqual([]);
  expect(driver.state.get("a")?.health.kind).toBe("failing");
  expect(driver.wait(999)).toEqual([]);
  expect(driver.wait(1)).toEqual([{ kind: "look", model: "a", isRetry: true }]);
  expect(driver.looked(ready)).toEqual([{ kind: "turned", model: "a", health: ready }]);
});

test("what happens after the third failure is looked at, whatever look is still under way", () => {
  const driver = new Driver();
  for (let task = 0; task < 3; task++) driver.failTask();
  driver.tell({ kind: "changed", model: "a" });
  expect(driver.looked(broken)).toEqual([{ kind: "look", model: "a", isRetry: false }]);
  expect(driver.looked(ready)).toEqual([{ kind: "turned", model: "a", health: ready }]);
});

test("an engine on probation goes again with the first task that fails", () => {
  const driver = new Driver();
  for (let task = 0; task < 3; task++) driver.failTask();
  driver.looked(ready);
  driver.wait(1_000);
  driver.looked(ready);
  expect(driver.failTask()).toMatchObject([{ kind: "turned", health: { kind: "failing" } }]);
});

test("an engine that comes and goes waits longer each time, until it was well for a minute", () => {
  const driver = new Driver();
  const retryMs = () => (driver.state.get("a")?.nextLookMs ?? 0) - driver.nowMs;
  driver.looked(broken);
  expect(retryMs()).toBe(1_000);
  driver.wait(1_000);
  driver.looked(ready);
  driver.wait(5_000);
  driver.looked(broken);
  expect(retryMs()).toBe(2_000);
  driver.wait(2_000);
  driver.looked(ready);
  driver.wait(60_000);
  driver.looked(ready);
  driver.looked(broken);
  expect(retryMs()).toBe(1_000);
});

test("whatever happens, one look at a time, none is forgotten, and every turn is a change", () => {
  const kinds = ["wait", "well", "ill", "fail", "done", "changed"] as const;
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...kinds), { maxLength: 100 }), (happenings) => {
      const driver = new Driver();
      let isLooking = false;
      let said = "ready";
      const check = (effects: readonly SupervisionEffect[]) => {
        for (const effect of effects.filter(({ model }) => model === "a")) {
          if (effect.kind === "look") {
            expect(isLooking).toBe(false);
            isLooking = true;
          } else {
            const now = JSON.stringify(effect.health);
            expect(now).not.toBe(said);
            said = now;
          }
        }
      };
      for (const one of happenings) {
        if (one === "wait") check(driver.wait(3_000));
        if (one === "fail") check(driver.failTask());
        if (one === "done") check(driver.tell({ kind: "task-done", model: "a" }));
        if (one === "changed") check(driver.tell({ kind: "changed", model: "a" }));
        if ((one !== "well" && one !== "ill") || !isLooking) continue;
        isLooking = false;
        check(driver.looked(one === "well" ? ready : broken));
      }
      if (!isLooking) check(driver.wait(60_000));
      expect(isLooking).toBe(true);
    }),
    { numRuns: 500 },
  );
});
