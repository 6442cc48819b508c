import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  afterFailure,
  type Breaker,
  closedBreaker,
  mayTry,
} from "../../../edge/hub/attempts/breaker.ts";
import { framesOf, howEnded, HubScene, listing, offersOf, task, taskId } from "./hub-scene.ts";

/** Fails at these times; the middle of chance leaves durations as they are. */
function failing(...timesMs: readonly number[]): Breaker {
  let breaker = closedBreaker();
  for (const nowMs of timesMs) {
    breaker = afterFailure(breaker, { nowMs, random: () => 0.5, retryAfterMs: 0 });
  }
  return breaker;
}

const idle = () => false;
const onTrial = () => true;

describe("a breaker", () => {
  test("stays closed for two failures in a row and opens at the third, for five seconds", () => {
    expect(mayTry(failing(0, 1), 2, onTrial)).toBe(true);
    const open = failing(0, 1, 2);
    expect([mayTry(open, 5_001, idle), mayTry(open, 5_002, idle)]).toEqual([false, true]);
  });

  test("lets one task through when its time is over", () => {
    expect(mayTry(failing(0, 1, 2), 60_000, onTrial)).toBe(false);
  });

  test("opens for twice as long after each trial that fails, for five minutes at most", () => {
    let breaker = failing(0, 0, 0);
    const openMs: number[] = [];
    for (let trial = 0; trial < 8; trial++) {
      const nowMs = breaker.untilMs ?? 0;
      breaker = afterFailure(breaker, { nowMs, random: () => 0.5, retryAfterMs: 0 });
      openMs.push((breaker.untilMs ?? 0) - nowMs);
    }
    expect(openMs).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
  });

  test("is not opened longer by attempts that ran when it opened", () => {
    expect(failing(0, 1, 2, 3, 4).untilMs).toBe(failing(0, 1, 2).untilMs);
  });

  test("leaves an engine alone for as long as it asks, at its first failure", () => {
    const at = { nowMs: 100, random: () => 0.5, retryAfterMs: 30_000 };
    const breaker = afterFailure(closedBreaker(), at);
    expect([mayTry(breaker, 30_099, idle), mayTry(breaker, 30_100, idle)]).toEqual([false, true]);
  });

  test("that is open heeds what the engine asks for since", () => {
    const open = failing(0, 1, 2);
    const at = { nowMs: 10, random: () => 0.5, retryAfterMs: 200_000 };
    expect(afterFailure(open, at).untilMs).toBe(200_010);
  });

  test("never opens for more than five minutes and a fifth, whatever fails when", () => {
    const failure = fc.record({
      afterMs: fc.nat(400_000),
      chance: fc.double({ min: 0, max: 0.999, noNaN: true }),
      retryAfterMs: fc.nat(10_000_000),
    });
    fc.assert(
      fc.property(fc.array(failure, { minLength: 1, maxLength: 20 }), (failures) => {
        let breaker = closedBreaker();
        let nowMs = 0;
        for (const { afterMs, chance, retryAfterMs } of failures) {
          nowMs += afterMs;
          breaker = afterFailure(breaker, { nowMs, random: () => chance, retryAfterMs });
          expect((breaker.untilMs ?? nowMs) - nowMs).toBeLessThanOrEqual(360_000);
        }
      }),
    );
  });
});

describe("a worker that keeps failing", () => {
  function fail(scene: HubScene, name: string, changes: object = {}) {
    scene.submit(task(name));
    const attempt = `${taskId(name)}.1`;
    const code = "engine_failed" as const;
    return scene.send("v", { type: "task.fail", attempt, seq: 0, code, message: "", ...changes });
  }

  function broken(): HubScene {
    const scene = new HubScene();
    scene.join("v", { slots: 3 });
    scene.random = () => 0.5;
    for (const name of ["a", "b", "c"]) expect(howEnded(fail(scene, name))).toBe("worker_failed");
    scene.send("v", { type: "credit.grant", slots: 2 });
    return scene;
  }

  test("is left alone, and tried with one task when its time is over", () => {
    const scene = broken();
    expect(offersOf(scene.submit(task("d")))).toEqual([]);
    expect(offersOf(scene.submit(task("e")))).toEqual([]);
    expect(offersOf(scene.tick(4_999))).toEqual([]);
    expect(offersOf(scene.tick(5_000))).toEqual(["v .1"]);
    scene.delta("v", `${taskId("d")}.1`, 0, "a");
    // Its success closes the breaker, and the other one goes too.
    expect(offersOf(scene.end("v", `${taskId("d")}.1`, 1))).toEqual(["v .1"]);
  });

  test("is known by its identity when it comes back on another connection", () => {
    const scene = broken();
    const memory = scene.state.sessions.get("v")?.memory;
    scene.step({ kind: "session.closed", sessionId: "v", reason: "" });
    scene.step({
      kind: "session.opened",
      sessionId: "v again",
      workerId: "worker v",
      accountId: "acct_v",
      region: "weur",
      version: 2,
      epoch: 1,
      ...(memory === undefined ? {} : { memory }),
    });
    scene.send("v again", { type: "listing.publish", revision: 1, listings: [listing()] });
    scene.send("v again", { type: "credit.grant", slots: 1 });
    expect(offersOf(scene.submit(task("d")))).toEqual([]);
  });

  test("does not keep tasks from others", () => {
    const scene = broken();
    scene.join("w");
    expect(offersOf(scene.submit(task("d")))).toEqual(["w .1"]);
  });

  test("and asks for a rest gets it at once", () => {
    const scene = new HubScene();
    scene.join("v");
    fail(scene, "a", { retry_after_ms: 7_000 });
    scene.send("v", { type: "credit.grant", slots: 1 });
    expect(offersOf(scene.submit(task("b")))).toEqual([]);
    expect(offersOf(scene.tick(6_999))).toEqual([]);
    const effects = scene.tick(7_000);
    expect(framesOf(effects, "task.offer")).toHaveLength(1);
  });

  test("by one broken connection has failed once, however much ran on it", () => {
    const scene = new HubScene();
    scene.join("v", { listings: [listing({ slots: 8 })], slots: 8 });
    for (const name of ["a", "b", "c", "d"]) scene.submit(task(name));
    const memory = scene.state.sessions.get("v")?.memory;
    scene.step({ kind: "session.closed", sessionId: "v", reason: "closed 1006" });
    expect(memory?.breaker.failures).toBe(1);
  });

  test("on a request that fails everywhere is not at fault but the first it came to", () => {
    const scene = new HubScene();
    for (const name of ["v", "w", "x"]) scene.join(name);
    const code = "engine_failed" as const;
    let [at = ""] = offersOf(scene.submit(task("a")));
    for (let number = 1; number <= 3; number++) {
      const attempt = `${taskId("a")}.${number}`;
      const name = at.split(" ")[0] ?? "";
      const effects = scene.send(name, { type: "task.fail", attempt, seq: 0, code, message: "" });
      [at = ""] = offersOf(effects);
    }
    const failures = [...scene.state.sessions.values()].map(
      ({ memory }) => memory.breaker.failures,
    );
    expect(failures.toSorted()).toEqual([0, 0, 1]);
  });

  test("that connects anew over a connection that stands keeps what was learnt on it", () => {
    const scene = broken();
    const before = scene.state.sessions.get("v")?.memory.breaker;
    scene.nowMs = 1;
    scene.open("v again", "v");
    expect(scene.state.sessions.get("v again")?.memory.breaker).toEqual(before);
    expect(before?.untilMs).not.toBe(null);
  });

  test("and rests for longer than a task can wait refuses it at once, with the time", () => {
    const scene = new HubScene();
    scene.join("v");
    fail(scene, "a", { retry_after_ms: 60_000 });
    scene.send("v", { type: "credit.grant", slots: 1 });
    const effects = scene.submit(task("b"));
    expect(effects).toMatchObject([{ ending: { code: "no_capacity", retryAfterS: 60 } }]);
  });
});
