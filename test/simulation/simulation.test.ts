import { describe, expect, test } from "vitest";
import { calmOptions } from "./options.ts";
import { runOptions, runSeed } from "./run-seed.ts";

/*
 * Both sides' reducers in one thread, over a network, machines, objects and people that fail by the
 * seed. `SEEDS=10000` runs more of them, `SEED=7` runs one and prints all that happens.
 */

/** A minute or two on two slow cores; the same every time, so that a failure is news. */
const seedsByDefault = 1_000;
const seedsAtOnce = 50;

const only = process.env["SEED"];
const seeds = Number(process.env["SEEDS"] ?? seedsByDefault);

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

describe.runIf(only !== undefined)("one seed", () => {
  test(`seed ${only} keeps every invariant`, () => {
    runSeed(Number(only), print);
  });
});

describe.runIf(only === undefined)("many seeds", () => {
  for (let first = 1; first <= seeds; first += seedsAtOnce) {
    const last = Math.min(first + seedsAtOnce - 1, seeds);
    test(`seeds ${first} to ${last} keep every invariant`, { timeout: 120_000 }, () => {
      for (let seed = first; seed <= last; seed++) runSeed(seed);
    });
  }
});

describe.runIf(only === undefined)("the simulation itself", () => {
  test("a run without faults answers everything", () => {
    const { counts } = runOptions(calmOptions(1));
    expect(counts.get("answered")).toBeGreaterThan(30);
    expect([...counts.keys()].filter((what) => what.startsWith("refused"))).toEqual([]);
  });

  test("money moves in every way there is while tasks run", () => {
    const ledger = { moving: true, repricing: true, earnersSpend: true, disputeMs: 10_000 };
    const seen = new Set<string>();
    for (let seed = 1; seed <= 5; seed++) {
      for (const what of runOptions(calmOptions(seed, ledger)).counts.keys()) seen.add(what);
    }
    const expected = [
      "move: moved",
      "move: insufficient_quota",
      "move: idempotency_conflict",
      "pend: pending",
      "pend: idempotency_conflict",
      "post: posted",
      "post: conflict",
      "void: void",
      "pending: expired",
      "earnings released",
      "own workers' shares",
      "tasks for own workers alone",
      "offers to own workers alone",
      "listings repriced",
      "tariffs made",
    ];
    expect(expected.filter((what) => !seen.has(what))).toEqual([]);
  });

  test("the same seed gives the same run, event by event", () => {
    const first = runSeed(11);
    const second = runSeed(11);
    expect(second).toEqual(first);
    expect(runSeed(12).hash).not.toBe(first.hash);
  });

  test("a broken invariant names its seed and the last events", () => {
    const options = calmOptions(3, { mutant: "overbilled" });
    expect(() => runOptions(options)).toThrow(/^A3 I8: [^]*SEED=3 npx vitest run[^]*task\.end/);
  });
});
