import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { PoolEffect, PoolEvent, PoolSettings } from "../../../worker-agent/serving/pool.ts";
import { createPool, reducePool } from "../../../worker-agent/serving/pool-state.ts";

const settings: PoolSettings = { idleMs: 60_000, quickLoadMs: 5_000 };

/** A pool under simulated time: its loads and unloads end when the test says so. */
class PoolDriver {
  nowMs = 0;
  state;
  effects: PoolEffect[] = [];

  constructor(loads: Readonly<Record<string, number>>, changes: Partial<PoolSettings> = {}) {
    this.state = createPool({ ...settings, ...changes });
    for (const [model, loadMs] of Object.entries(loads)) {
      this.tell({ kind: "add", model, loadMs });
    }
  }

  tell(event: PoolEvent): readonly PoolEffect[] {
    const step = reducePool(this.state, event, this.nowMs);
    this.state = step.state;
    this.effects.push(...step.effects);
    return step.effects;
  }

  want(model: string, ticket: number): readonly PoolEffect[] {
    return this.tell({ kind: "want", model, ticket });
  }

  /** Lets the time pass in which `model` gets unloaded. */
  unload(model: string): void {
    this.nowMs += 60_000;
    expect(this.tell({ kind: "tick" })).toEqual([{ kind: "unload", model }]);
    this.tell({ kind: "unloaded", model });
  }

  phase(model: string): string | undefined {
    return this.state.models.get(model)?.phase.kind;
  }
}

const outOfMemory = { kind: "load-failed", code: "out_of_memory", reason: "it is full" } as const;

test("a model nobody asked for is unloaded after the time set, and loaded by the next task", () => {
  const driver = new PoolDriver({ a: 100 });
  driver.nowMs = 59_999;
  expect(driver.tell({ kind: "tick" })).toEqual([]);
  driver.nowMs = 60_000;
  expect(driver.tell({ kind: "tick" })).toEqual([{ kind: "unload", model: "a" }]);
  driver.tell({ kind: "unloaded", model: "a" });
  expect(driver.want("a", 1)).toEqual([{ kind: "load", model: "a" }]);
  expect(driver.want("a", 2)).toEqual([]);
  expect(driver.tell({ kind: "loaded", model: "a", loadMs: 90 })).toEqual([
    { kind: "grant", model: "a", ticket: 1 },
    { kind: "grant", model: "a", ticket: 2 },
  ]);
});

test("a model that a task runs on is not unloaded, however long the task takes", () => {
  const driver = new PoolDriver({ a: 100 });
  driver.want("a", 1);
  driver.nowMs = 3_600_000;
  expect(driver.tell({ kind: "tick" })).toEqual([]);
  driver.tell({ kind: "release", model: "a" });
  expect(driver.tell({ kind: "tick" })).toEqual([]);
  driver.unload("a");
});

test("a model that loads slowly is kept", () => {
  const driver = new PoolDriver({ a: 5_001 });
  driver.nowMs = 3_600_000;
  expect(driver.tell({ kind: "tick" })).toEqual([]);
});

test("without a time set nothing is unloaded for being idle", () => {
  const driver = new PoolDriver({ a: 1 }, { idleMs: null });
  driver.nowMs = 3_600_000;
  expect(driver.tell({ kind: "tick" })).toEqual([]);
});

test("where there is no room the least recently used idle model makes it", () => {
  const driver = new PoolDriver({ a: 1, b: 1, c: 1 });
  driver.unload("a");
  driver.want("b", 1);
  driver.nowMs += 10;
  driver.tell({ kind: "release", model: "b" });
  expect(driver.want("a", 2)).toEqual([{ kind: "load", model: "a" }]);
  expect(driver.tell({ ...outOfMemory, model: "a" })).toEqual([{ kind: "unload", model: "c" }]);
  expect(driver.tell({ kind: "unloaded", model: "c" })).toEqual([{ kind: "load", model: "a" }]);
  expect(driver.tell({ ...outOfMemory, model: "a" })).toEqual([{ kind: "unload", model: "b" }]);
  driver.tell({ kind: "unloaded", model: "b" });
  expect(driver.tell({ ...outOfMemory, model: "a" })).toEqual([
    { kind: "deny", model: "a", ticket: 2, code: "out_of_memory" },
  ]);
  expect(driver.phase("a")).toBe("failed");
});

test("a running or slow model makes no room, and the task that found none is sent on", () => {
  const driver = new PoolDriver({ a: 1, busy: 1, slow: 60_000 });
  driver.unload("a");
  driver.tell({ kind: "reopen", model: "busy" });
  driver.tell({ kind: "unloaded", model: "busy" });
  driver.tell({ kind: "loaded", model: "busy", loadMs: 1 });
  driver.want("busy", 1);
  driver.want("a", 2);
  expect(driver.tell({ ...outOfMemory, model: "a" })).toEqual([
    { kind: "deny", model: "a", ticket: 2, code: "out_of_memory" },
  ]);
  expect(driver.want("a", 3)).toEqual([
    { kind: "deny", model: "a", ticket: 3, code: "out_of_memory" },
  ]);
});

test("what needs memory elsewhere gets that of the model that was idle for the longest", () => {
  const driver = new PoolDriver({ slow: 60_000, a: 1, b: 1 });
  driver.want("a", 1);
  expect(driver.tell({ kind: "make-room" })).toEqual([{ kind: "unload", model: "b" }]);
  driver.tell({ kind: "unloaded", model: "b" });
  expect(driver.tell({ kind: "make-room" })).toEqual([]);
});

test("a load that fails for another reason than memory costs no other model its place", () => {
  const driver = new PoolDriver({ a: 1, b: 1 });
  driver.unload("a");
  driver.want("a", 1);
  const failed = {
    kind: "load-failed",
    model: "a",
    code: "engine_failed",
    reason: "gone",
  } as const;
  expect(driver.tell(failed)).toEqual([
    { kind: "deny", model: "a", ticket: 1, code: "engine_failed" },
  ]);
  expect(driver.phase("b")).toBe("loaded");
});

test("a model that failed is opened again once its last task has left it", () => {
  const driver = new PoolDriver({ a: 1 });
  driver.want("a", 1);
  expect(driver.tell({ kind: "reopen", model: "a" })).toEqual([]);
  expect(driver.want("a", 2)).toEqual([]);
  expect(driver.tell({ kind: "release", model: "a" })).toEqual([{ kind: "unload", model: "a" }]);
  expect(driver.tell({ kind: "unloaded", model: "a" })).toEqual([{ kind: "load", model: "a" }]);
  expect(driver.tell({ kind: "loaded", model: "a", loadMs: 1 })).toEqual([
    { kind: "grant", model: "a", ticket: 2 },
  ]);
});

test("a slow model whose unloading outlives the pause is loaded again when it is done", () => {
  const driver = new PoolDriver({ a: 9_000 });
  driver.tell({ kind: "rest", isResting: true });
  expect(driver.tell({ kind: "rest", isResting: false })).toEqual([]);
  expect(driver.tell({ kind: "unloaded", model: "a" })).toEqual([{ kind: "load", model: "a" }]);
});

test("while the provider needs the machine everything idle goes, and slow models come back after", () => {
  const driver = new PoolDriver({ quick: 1, slow: 60_000 });
  expect(driver.tell({ kind: "rest", isResting: true })).toEqual([
    { kind: "unload", model: "quick" },
  ]);
  driver.tell({ kind: "unloaded", model: "quick" });
  expect(driver.tell({ kind: "tick" })).toEqual([{ kind: "unload", model: "slow" }]);
  driver.tell({ kind: "unloaded", model: "slow" });
  expect(driver.tell({ kind: "rest", isResting: false })).toEqual([
    { kind: "load", model: "slow" },
  ]);
});

/** Everything that can happen to a pool; what cannot happen now does nothing. */
class World {
  readonly driver = new PoolDriver({ a: 10, b: 20, c: 9_000 });
  readonly #running: string[] = [];
  readonly #open = new Map<number, string>();
  #busy: { readonly kind: "load" | "unload"; readonly model: string } | null = null;
  #tickets = 0;

  step([what, model]: readonly [string, string]): void {
    const before = this.driver.effects.length;
    this.driver.nowMs += 7_000;
    this.#happen(what, model);
    for (const effect of this.driver.effects.slice(before)) this.#check(effect);
  }

  #happen(what: string, model: string): void {
    const { driver } = this;
    if (what === "want") {
      this.#open.set((this.#tickets += 1), model);
      driver.want(model, this.#tickets);
    }
    const [oldest] = this.#open;
    if (what === "abandon" && oldest !== undefined) {
      this.#open.delete(oldest[0]);
      driver.tell({ kind: "abandon", model: oldest[1], ticket: oldest[0] });
    }
    if (what === "release" && this.#running.includes(model)) {
      this.#running.splice(this.#running.indexOf(model), 1);
      driver.tell({ kind: "release", model });
    }
    if (what === "tick") driver.tell({ kind: "tick" });
    if (what === "rest") driver.tell({ kind: "rest", isResting: model === "a" });
    if (what === "reopen") driver.tell({ kind: "reopen", model });
    if (what === "done" || what === "fails") this.#end(what === "done");
  }

  #end(isWell: boolean): void {
    const busy = this.#busy;
    if (busy === null) return;
    this.#busy = null;
    const { model } = busy;
    if (busy.kind === "unload") this.driver.tell({ kind: "unloaded", model });
    else if (isWell) this.driver.tell({ kind: "loaded", model, loadMs: 10 });
    else this.driver.tell({ ...outOfMemory, model });
  }

  #check(effect: PoolEffect): void {
    if (effect.kind === "load" || effect.kind === "unload") {
      // P2
      expect(this.#busy).toBeNull();
      this.#busy = effect;
      // P1
      if (effect.kind === "unload") expect(this.#running).not.toContain(effect.model);
      return;
    }
    // P3
    expect(this.#open.get(effect.ticket)).toBe(effect.model);
    this.#open.delete(effect.ticket);
    if (effect.kind === "grant") this.#running.push(effect.model);
  }

  /** Lets everything come to an end: nobody may be left waiting. */
  settle(): void {
    this.step(["rest", "b"]);
    for (let turn = 0; turn < 40; turn++) {
      for (const model of this.#running.slice()) this.step(["release", model]);
      this.step(["done", "a"]);
    }
    expect([...this.#open]).toEqual([]);
    for (const name of ["a", "b", "c"]) {
      expect(["loaded", "unloaded", "failed"]).toContain(this.driver.phase(name));
    }
  }
}

test("whatever happens: no model is taken from a task, and no task is left without an answer", () => {
  const kinds = ["want", "abandon", "release", "tick", "rest", "reopen", "done", "fails"];
  const happening = fc.tuple(fc.constantFrom(...kinds), fc.constantFrom("a", "b", "c"));
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 80 }), (happenings) => {
      const world = new World();
      for (const one of happenings) world.step(one);
      world.settle();
    }),
    { numRuns: 1_000 },
  );
});
