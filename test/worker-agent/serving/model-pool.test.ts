import { expect, test, vi } from "vitest";
import type { Engine, EngineEvent, GenerateTask } from "../../../worker-agent/engine/engine.ts";
import { EngineError } from "../../../worker-agent/engine/engine.ts";
import { createSyntheticEngine } from "../../../worker-agent/engine/synthetic/synthetic.ts";
import { ModelPool } from "../../../worker-agent/serving/model-pool.ts";
import { until } from "../../helpers/until.ts";

const never = new AbortController().signal;

function chat(script: string): GenerateTask {
  return {
    kind: "chat",
    request: { model: "m", messages: [{ role: "user", content: `[synthetic ${script}]` }] },
  };
}

/** A model whose loads end when the test says so. */
class Loads {
  readonly pending: { resolve: (engine: Engine) => void; reject: (error: unknown) => void }[] = [];
  readonly closed: string[] = [];
  count = 0;

  engine(name = "m"): Engine {
    const engine = createSyntheticEngine({ name });
    return {
      ...engine,
      [Symbol.asyncDispose]: async () => {
        this.closed.push(name);
      },
    };
  }

  open = async (): Promise<{ engine: Engine; loadMs: number }> => {
    this.count += 1;
    const engine = await new Promise<Engine>((resolve, reject) => {
      this.pending.push({ resolve, reject });
    });
    return { engine, loadMs: 1 };
  };

  async next() {
    return until("a load begins", () => this.pending.shift());
  }
}

function newPool(): ModelPool {
  return new ModelPool({ idleMs: null, quickLoadMs: 5_000 }, () => undefined);
}

function add(pool: ModelPool, loads: Loads, name = "m"): Engine {
  return pool.add({ name, opened: { engine: loads.engine(), loadMs: 1 }, open: loads.open });
}

async function collect(events: AsyncIterable<EngineEvent>): Promise<EngineEvent[]> {
  const all: EngineEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

test("a task that finds its model unloaded waits for it, and gets its whole answer", async () => {
  await using pool = newPool();
  const loads = new Loads();
  const engine = add(pool, loads);
  const task = chat("tokens=5");
  const whole = await collect(engine.generate(task, never));
  expect(await pool.makeRoom()).toBe(true);
  expect(await engine.health(never)).toEqual({ kind: "unloaded" });
  expect(engine.stats()).toEqual({ running: 0, waiting: 0, memoryBytes: 0 });
  const [first, second] = [1, 2].map(() => collect(engine.generate(task, never)));
  const load = await loads.next();
  expect(engine.stats().waiting).toBe(2);
  load.resolve(loads.engine());
  expect(await first).toEqual(whole);
  expect(await second).toEqual(whole);
  expect([loads.count, loads.closed]).toEqual([1, ["m"]]);
  expect(await engine.health(never)).toEqual({ kind: "ready" });
});

test("a task that gives up while its model loads has made nothing, and the load goes on", async () => {
  await using pool = newPool();
  const loads = new Loads();
  const engine = add(pool, loads);
  await pool.makeRoom();
  const leaving = new AbortController();
  const events = collect(engine.generate(chat("tokens=5"), leaving.signal));
  const load = await loads.next();
  leaving.abort();
  const usage = { prompt: 0, completion: 0, cached: 0 };
  expect(await events).toEqual([{ kind: "end", finishes: [], usage }]);
  load.resolve(loads.engine());
  await until("it is loaded", () => pool.isLoaded("m"));
  expect(await pool.makeRoom()).toBe(true);
});

test("an answer that is left in the middle gives its model back", async () => {
  await using pool = newPool();
  const loads = new Loads();
  const engine = add(pool, loads);
  for await (const event of engine.generate(chat("tokens=5"), never)) {
    expect(event.kind).toBe("part");
    expect(await pool.makeRoom()).toBe(false);
    break;
  }
  expect(await pool.makeRoom()).toBe(true);
});

test("an answer that is left before its model is loaded gives it back once it is", async () => {
  await using pool = newPool();
  const loads = new Loads();
  const engine = add(pool, loads);
  await pool.makeRoom();
  const events = engine.generate(chat("tokens=5"), never)[Symbol.asyncIterator]();
  const first = events.next();
  const load = await loads.next();
  expect(await events.return?.()).toEqual({ done: true, value: undefined });
  load.resolve(loads.engine());
  expect(await first).toEqual({ done: true, value: undefined });
  expect(await pool.makeRoom()).toBe(true);
});

test("an engine that generates nothing at all gets its model back", async () => {
  await using pool = newPool();
  const loads = new Loads();
  const generate = () => {
    throw new EngineError("invalid_request", "It makes no text");
  };
  const opened = { engine: { ...loads.engine(), generate }, loadMs: 1 };
  const engine = pool.add({ name: "m", opened, open: loads.open });
  const failing = collect(engine.generate(chat("tokens=5"), never));
  await expect(failing).rejects.toMatchObject({ code: "invalid_request" });
  expect(await pool.makeRoom()).toBe(true);
});

test("a task that fails gives its model back, with its own error", async () => {
  await using pool = newPool();
  const loads = new Loads();
  const engine = add(pool, loads);
  const failing = collect(engine.generate(chat("fail=out_of_memory after=2"), never));
  await expect(failing).rejects.toMatchObject({ code: "out_of_memory" });
  expect(await pool.makeRoom()).toBe(true);
});

test("a model that cannot be loaded fails its tasks and its health, until it is opened again", async () => {
  await using pool = newPool();
  const loads = new Loads();
  const engine = add(pool, loads);
  await pool.makeRoom();
  const failing = collect(engine.generate(chat("tokens=5"), never));
  const failure = expect(failing).rejects.toMatchObject({ code: "engine_failed" });
  (await loads.next()).reject(new EngineError("engine_failed", "The GPU has gone"));
  await failure;
  expect(await engine.health(never)).toEqual({ kind: "failing", reason: "The GPU has gone" });
  pool.reopen("m");
  (await loads.next()).resolve(loads.engine());
  await until("it is loaded", () => pool.isLoaded("m"));
  expect(await engine.health(never)).toEqual({ kind: "ready" });
});

test("a model takes the memory of one that is idle", async () => {
  await using pool = newPool();
  const [loads, others] = [new Loads(), new Loads()];
  const engine = add(pool, loads);
  await pool.makeRoom();
  add(pool, others, "other");
  const events = collect(engine.generate(chat("tokens=2"), never));
  (await loads.next()).reject(new EngineError("out_of_memory", "It is full"));
  const again = await loads.next();
  expect(pool.isLoaded("other")).toBe(false);
  again.resolve(loads.engine());
  expect((await events).at(-1)).toMatchObject({ usage: { completion: 2 } });
});

test("a file that has changed since the start is not served under the old digest", async () => {
  await using pool = newPool();
  const loads = new Loads();
  const engine = add(pool, loads);
  await pool.makeRoom();
  const failing = collect(engine.generate(chat("tokens=5"), never));
  const failure = expect(failing).rejects.toMatchObject({ code: "engine_failed" });
  (await loads.next()).resolve(loads.engine("another"));
  await failure;
  expect(await engine.health(never)).toMatchObject({
    kind: "failing",
    reason: expect.stringMatching(/another one than at the start/),
  });
  expect(loads.closed).toEqual(["m", "another"]);
});

test("a pool that is closed while a model loads waits for it, and leaves no task behind", async () => {
  const pool = newPool();
  const loads = new Loads();
  const engine = add(pool, loads);
  await pool.makeRoom();
  const events = collect(engine.generate(chat("tokens=5"), never));
  const load = await loads.next();
  const closed = pool[Symbol.asyncDispose]();
  expect(await events).toHaveLength(1);
  load.resolve(loads.engine("late"));
  await closed;
  expect(loads.closed).toContain("late");
});

test("tokens are counted and documents made by a model that was unloaded", async () => {
  await using pool = newPool();
  const loads = new Loads();
  const engine = add(pool, loads);
  await pool.makeRoom();
  const tokens = engine.tokenize("one two three", never);
  (await loads.next()).resolve(loads.engine());
  expect(await tokens).toHaveLength(3);
  const request = { model: "m", input: "x" };
  const refused = engine.perform({ kind: "embedding", request }, never);
  await expect(refused).rejects.toMatchObject({ code: "invalid_request" });
  expect(await pool.makeRoom()).toBe(true);
});

test("an engine that never closes keeps no other model from being loaded", async () => {
  vi.useFakeTimers();
  try {
    await using pool = newPool();
    const engine = createSyntheticEngine();
    const stuck = { ...engine, [Symbol.asyncDispose]: () => new Promise<void>(() => undefined) };
    const open = () => Promise.resolve({ engine, loadMs: 1 });
    const lazy = pool.add({ name: "m", opened: { engine: stuck, loadMs: 1 }, open });
    const room = pool.makeRoom();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await room).toBe(true);
    expect(await lazy.tokenize("one two", never)).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});
