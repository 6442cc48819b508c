import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Engine, EngineHealth } from "../../../worker-agent/engine/engine.ts";
import { EngineError } from "../../../worker-agent/engine/engine.ts";
import { createSyntheticEngine } from "../../../worker-agent/engine/synthetic/synthetic.ts";
import type { Pause } from "../../../worker-agent/serving/availability.ts";
import { Serving } from "../../../worker-agent/serving/serving.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

async function pass(seconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(1_000 * seconds);
}

/** Two models, served without an edge. */
class World implements Disposable {
  health: EngineHealth | "hang" | "throw" = { kind: "ready" };
  pause: Pause | null = null;
  load = 0;
  /** Of a server beside the worker. */
  running = 0;
  readonly offers: (readonly string[])[] = [];
  readonly serving: Serving;

  constructor(pause: Pause | null = null, maxLoad: number | null = null, isBeside = false) {
    this.pause = pause;
    this.serving = new Serving({
      enginesByModel: new Map([
        ["ill", this.#engine()],
        ["well", createSyntheticEngine({ name: "well" })],
        ...(isBeside ? [["beside", this.#beside()] as const] : []),
      ]),
      pool: null,
      availability: { hours: null, maxLoad, yieldsGpu: false },
      pause: () => this.pause,
      readLoad: async ({ isElsewhere }) => {
        // As long as nvidia-smi takes.
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        return { cpu: isElsewhere ? null : this.load, gpu: null };
      },
      log: () => undefined,
      onOffer: (models) => this.offers.push(models),
    });
    this.serving.start();
  }

  [Symbol.dispose](): void {
    this.serving.stop();
  }

  #engine(): Engine {
    return {
      ...createSyntheticEngine({ name: "ill" }),
      health: async () => {
        if (this.health === "hang") return new Promise<EngineHealth>(() => undefined);
        if (this.health === "throw") throw new Error("a bug");
        return this.health;
      },
    };
  }

  #beside(): Engine {
    return {
      ...createSyntheticEngine({ name: "beside" }),
      stats: () => ({ running: this.running, waiting: 0, memoryBytes: null }),
    };
  }

  /** A task that failed is what has an engine looked at. */
  async failTask(): Promise<string | null> {
    this.serving.taskFailed("ill", new EngineError("engine_failed", "It broke"));
    await pass(2);
    expect(this.offers.at(-1)).toEqual(["well"]);
    return this.serving.view("ill").notOffered;
  }
}

test("an engine that is ill is withdrawn with its reason, and offered again when it is well", async () => {
  using world = new World();
  expect(world.serving.offered).toEqual(["ill", "well"]);
  world.health = { kind: "failing", reason: "The server is gone" };
  expect(await world.failTask()).toBe("The server is gone");
  world.health = { kind: "ready" };
  await pass(2);
  expect(world.offers).toEqual([["well"], ["ill", "well"]]);
});

test.for([
  ["hang", /does not say how it is/],
  ["throw", /cannot say how it is: Error: a bug/],
] as const)("an engine whose check does %s is withdrawn", async ([health, reason]) => {
  using world = new World();
  world.health = health;
  expect(await world.failTask()).toMatch(reason);
});

test("a worker that is paused from the start offers nothing before it is resumed", async () => {
  using world = new World({ sinceMs: 0, untilMs: null });
  expect(world.serving.offered).toEqual([]);
  expect(world.serving.view("well")).toMatchObject({ notOffered: "You paused it" });
  world.pause = null;
  await pass(1);
  expect(world.offers).toEqual([["ill", "well"]]);
});

test("a machine that its owner uses is left to them", async () => {
  using world = new World(null, 50);
  world.load = 90;
  await pass(10);
  expect(world.serving.availability).toMatchObject({ kind: "closed", cause: "load" });
  expect(world.serving.offered).toEqual([]);
  world.load = 10;
  await pass(35);
  expect(world.serving.offered).toEqual(["ill", "well"]);
});

test("what a server beside the worker computes for its tasks does not close it", async () => {
  using world = new World(null, 50, true);
  world.load = 90;
  // They come and go between two looks at the load, or begin while one is under way.
  for (let turn = 0; turn < 5; turn++) {
    world.serving.taskDone("beside");
    await pass(3);
    world.serving.taskFailed("beside", new EngineError("invalid_request", "It is refused"));
    await pass(1);
    world.running = 1;
    await pass(1.5);
    world.running = 0;
    await pass(0.5);
  }
  expect(world.serving.availability.kind).toBe("open");
  // Nothing of ours runs any more.
  await pass(12);
  expect(world.serving.availability).toMatchObject({ kind: "closed", cause: "load" });
});
