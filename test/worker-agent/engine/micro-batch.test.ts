import { array, assert, asyncProperty, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { MicroBatcher, planRuns } from "../../../worker-agent/engine/embedded/micro-batch.ts";
import { until } from "../../helpers/until.ts";

const limits = { itemsMax: 4, paddedMax: 1_000, waitMs: 10 };
const never = new AbortController().signal;

/** A batcher that doubles numbers, with a clock that is moved and runs that are released. */
class Bench {
  readonly runs: number[][] = [];
  readonly bad = new Set<number>();
  /** What waits for its time, with the time. */
  readonly due: { ms: number; run: () => void }[] = [];
  isHeld = false;
  tasksMeant = Infinity;
  readonly #held: (() => void)[] = [];
  readonly batcher = new MicroBatcher<number, number>({
    limits,
    sizeOf: (item) => item,
    expectsMore: (waiting) => this.tasksMeant > waiting,
    run: async (items) => {
      this.runs.push([...items]);
      if (this.isHeld) await new Promise<void>((resolve) => this.#held.push(resolve));
      const bad = items.find((item) => this.bad.has(item));
      if (bad !== undefined) throw new Error(`bad ${bad}`);
      return items.map((item) => 2 * item);
    },
    after: (ms, run) => {
      const entry = { ms, run };
      this.due.push(entry);
      return () => void this.due.splice(this.due.indexOf(entry), 1);
    },
  });

  passTime(): void {
    for (const { run } of this.due.splice(0)) run();
  }

  release(): void {
    for (const resolve of this.#held.splice(0)) resolve();
  }
}

describe("what is gathered", () => {
  test("runs when its time is over, as one, the results each to their own", async () => {
    const bench = new Bench();
    const asked = [bench.batcher.add([1, 2], never), bench.batcher.add([3], never)];
    expect(bench.due.map(({ ms }) => ms)).toEqual([10]);
    expect(bench.runs).toEqual([]);
    bench.passTime();
    expect(await Promise.all(asked)).toEqual([[2, 4], [6]]);
    expect(bench.runs).toEqual([[3, 2, 1]]);
  });

  test("runs at once when there is enough of it", async () => {
    const bench = new Bench();
    expect(await bench.batcher.add([1, 2, 3, 4], never)).toEqual([2, 4, 6, 8]);
    expect(bench.due).toEqual([]);
  });

  test("waits for the run before it, and then not for the time", async () => {
    const bench = new Bench();
    bench.isHeld = true;
    const first = bench.batcher.add([1, 1, 1, 1], never);
    await until("the first run is under way", () => bench.runs.length === 1);
    const second = bench.batcher.add([2], never);
    expect(bench.due).toEqual([]);
    bench.isHeld = false;
    bench.release();
    expect(await first).toEqual([2, 2, 2, 2]);
    expect(await second).toEqual([4]);
    expect(bench.runs).toEqual([[1, 1, 1, 1], [2]]);
  });

  test("takes turns between tasks: a long one delays a short one by one batch", async () => {
    const bench = new Bench();
    bench.isHeld = true;
    const long = bench.batcher.add(
      Array.from({ length: 20 }, () => 5),
      never,
    );
    await until("the first run is under way", () => bench.runs.length === 1);
    const short = bench.batcher.add([7], never);
    bench.isHeld = false;
    bench.release();
    await short;
    expect(bench.runs.findIndex((run) => run.includes(7))).toBe(1);
    expect(await long).toHaveLength(20);
  });

  test("does not wait for its time when everybody who is expected has come", async () => {
    const bench = new Bench();
    bench.tasksMeant = 2;
    const asked = [bench.batcher.add([1], never)];
    expect(bench.due).toHaveLength(1);
    asked.push(bench.batcher.add([2], never));
    expect(await Promise.all(asked)).toEqual([[2], [4]]);
    expect(bench.runs).toEqual([[2, 1]]);
    expect(bench.due).toEqual([]);
  });

  test("of no items is nothing", async () => {
    expect(await new Bench().batcher.add([], never)).toEqual([]);
  });
});

describe("a failure", () => {
  test("is that of the task whose item fails, and of no other", async () => {
    const bench = new Bench();
    bench.bad.add(3);
    const tasks = [[1], [3], [2, 4]].map((items) =>
      bench.batcher.add(items, never).catch((error: unknown) => String(error)),
    );
    bench.passTime();
    expect(await Promise.all(tasks)).toEqual([[2], "Error: bad 3", [4, 8]]);
  });

  test("ends what is left of its task", async () => {
    const bench = new Bench();
    bench.bad.add(9);
    const items = [9, 9, 9, 9, 1, 1, 1, 1, 1];
    await expect(bench.batcher.add(items, never)).rejects.toThrow("bad 9");
    expect(bench.batcher.waitingCount).toBe(0);
  });
});

describe("an abort", () => {
  test("before the run takes the task's items out of it", async () => {
    const bench = new Bench();
    const abort = new AbortController();
    const gone = bench.batcher.add([1, 2], abort.signal);
    const kept = bench.batcher.add([3], never);
    abort.abort(new Error("gone"));
    await expect(gone).rejects.toThrow("gone");
    bench.passTime();
    expect(await kept).toEqual([6]);
    expect(bench.runs).toEqual([[3]]);
  });

  test("in the middle of a run ends the task at once, and the others get theirs", async () => {
    const bench = new Bench();
    bench.isHeld = true;
    const abort = new AbortController();
    const gone = bench.batcher.add([1, 2], abort.signal);
    const kept = bench.batcher.add([3, 4], never);
    await until("the run is under way", () => bench.runs.length === 1);
    abort.abort(new Error("gone"));
    await expect(gone).rejects.toThrow("gone");
    bench.release();
    expect(await kept).toEqual([6, 8]);
  });

  test("that came before is no task at all", async () => {
    const bench = new Bench();
    await expect(bench.batcher.add([1], AbortSignal.abort("gone"))).rejects.toBe("gone");
    expect(bench.due).toEqual([]);
  });
});

test("closing ends every task that waits", async () => {
  const bench = new Bench();
  const asked = bench.batcher.add([1], never);
  bench.batcher.close(new Error("unloaded"));
  await expect(asked).rejects.toThrow("unloaded");
  expect(bench.due).toEqual([]);
});

test("any mix of tasks gets its own results, whatever fails", async () => {
  const tasks = array(array(integer({ min: 1, max: 400 }), { maxLength: 9 }), {
    maxLength: 12,
  });
  await assert(
    asyncProperty(tasks, array(integer({ min: 1, max: 400 })), async (lists, bad) => {
      const bench = new Bench();
      for (const item of bad) bench.bad.add(item);
      const asked = lists.map((items) =>
        bench.batcher.add(items, never).catch((error: unknown) => String(error)),
      );
      const all = Promise.all(asked);
      bench.passTime();
      for (const [at, answer] of (await all).entries()) {
        const items = lists[at] ?? [];
        const hasBad = items.some((item) => bench.bad.has(item));
        if (hasBad) expect(answer).toMatch(/^Error: bad \d+$/);
        else expect(answer).toEqual(items.map((item) => 2 * item));
      }
    }),
  );
});

test("every item is in one run, no run is over its limits, and little of it is padding", () => {
  const sizes = array(integer({ min: 1, max: 3_000 }), { maxLength: 80 });
  assert(
    property(sizes, (all) => {
      const runs = planRuns(all, { itemsMax: 16, paddedMax: 4_096 });
      expect(runs.flat().toSorted((a, b) => a - b)).toEqual([...all.keys()]);
      for (const run of runs) {
        const own = run.map((at) => all[at] ?? 0);
        const padded = run.length * Math.max(...own);
        expect(run.length).toBeLessThanOrEqual(16);
        if (run.length > 1) expect(padded).toBeLessThanOrEqual(4_096);
        const real = own.reduce((sum, one) => sum + one, 0);
        expect(padded).toBeLessThanOrEqual(Math.max(512, 2 * real));
      }
    }),
  );
});
