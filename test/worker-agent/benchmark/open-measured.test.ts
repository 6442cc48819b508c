import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { BenchmarkCache } from "../../../worker-agent/benchmark/benchmark-cache.ts";
import type { MeasureSettings } from "../../../worker-agent/benchmark/open-measured.ts";
import { openMeasured } from "../../../worker-agent/benchmark/open-measured.ts";
import type { Engine } from "../../../worker-agent/engine/engine.ts";
import { EngineError } from "../../../worker-agent/engine/engine.ts";
import { createSyntheticEngine } from "../../../worker-agent/engine/synthetic/synthetic.ts";
import { LeapingClock } from "./leaping-clock.ts";
import { ModelError } from "../../../worker-agent/models/model-error.ts";
import type { ModelSource } from "../../../worker-agent/models/model-source.ts";

function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "octo-benchmarks-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const file: ModelSource = { kind: "file", path: "/models/words.gguf" };

const usual: MeasureSettings = {
  benchmark: "auto",
  slots: null,
  slotsUnmeasured: 4,
  threads: 1,
  contextTokensMax: null,
  gpu: "auto",
  machine: "m1",
  draft: null,
  gpuBytes: 0,
};

/** A machine that opens models, and what it was asked for. */
class Bench {
  readonly folder = scratchFolder();
  readonly opened: number[] = [];
  readonly logged: string[] = [];
  nowMs = 1_700_000_000_000;
  asked = 0;
  open = 0;
  /** The most slots that fit its memory. */
  slotsFit = 64;
  digest = "d".repeat(64);
  tokensPerSecond = 200;
  /** Null is the time of this world. */
  clock: LeapingClock | null = new LeapingClock();
  fails: EngineError | null = null;
  weightBytes: number | null = null;
  bytesPerSlot = 0;

  async run(
    changes: Partial<MeasureSettings> = {},
    more: { readonly source?: ModelSource; readonly signal?: AbortSignal; budgetMs?: number } = {},
  ) {
    const log = (_level: string, message: string) => void this.logged.push(message);
    const cache = await BenchmarkCache.open(this.folder, log, () => this.nowMs);
    const before = this.asked;
    const options = {
      name: "words",
      source: more.source ?? file,
      open: (slots: number) => this.#open(slots),
      settings: { ...usual, ...changes },
      cache,
      log,
      budgetMs: more.budgetMs ?? 60_000,
      nowMs: this.clock?.nowMs ?? (() => performance.now()),
    };
    const measured = await openMeasured(options, more.signal ?? new AbortController().signal);
    const wasMeasured = this.asked > before;
    return { ...measured, wasMeasured, slots: measured.engine.model.slots };
  }

  async #open(slots: number): Promise<Engine> {
    this.opened.push(slots);
    if (slots > this.slotsFit) throw new ModelError("does_not_fit", "Cannot load the model");
    const shape = { slots, contextTokens: 512, tokensPerSecond: this.tokensPerSecond };
    const engine = createSyntheticEngine(shape, this.clock ?? undefined);
    this.open += 1;
    return {
      ...engine,
      kind: "llama.cpp",
      model: { ...engine.model, digest: this.digest, weightBytes: this.weightBytes },
      stats: () => {
        const memoryBytes = (this.weightBytes ?? 0) + this.bytesPerSlot * slots;
        return { ...engine.stats(), memoryBytes };
      },
      generate: (task, signal) => {
        this.asked += 1;
        if (this.fails !== null) throw this.fails;
        return engine.generate(task, signal);
      },
      [Symbol.asyncDispose]: async () => {
        this.open -= 1;
        await engine[Symbol.asyncDispose]();
      },
    };
  }
}

test("a model is measured once, and the next start has its slots and speed at hand", async () => {
  const bench = new Bench();
  const first = await bench.run();
  expect(first.wasMeasured).toBe(true);
  expect(first.speed?.decode_tokens_per_s).toBeGreaterThan(0);
  expect(bench.opened[0]).toBe(8);
  bench.opened.length = 0;
  const second = await bench.run();
  expect(second.wasMeasured).toBe(false);
  expect(second.speed).toEqual(first.speed);
  expect(second.slots).toBe(first.slots);
  expect(bench.opened).toEqual([first.slots]);
  expect(bench.open).toBe(2);
});

test("slots that were given are kept, and measured as they are", async () => {
  const bench = new Bench();
  const found = await bench.run({ slots: 3 });
  expect([found.slots, bench.opened]).toEqual([3, [3]]);
  expect(found.benchmark?.curve.map(({ streams }) => streams)).toEqual([1, 2, 3]);
  expect((await bench.run({ slots: 3 })).wasMeasured).toBe(false);
});

test.for([
  ["threads", { threads: 2 }],
  ["context", { contextTokensMax: 256 }],
  ["use of the GPU", { gpu: "none" }],
  ["machine or its driver", { machine: "m2" }],
  ["draft model", { draft: "small" }],
  ["slots", { slots: 2 }],
] as const)("another %s is another measurement", async ([, changes]) => {
  const bench = new Bench();
  await bench.run();
  expect((await bench.run(changes)).wasMeasured).toBe(true);
  expect((await bench.run()).wasMeasured).toBe(false);
});

test("another file under the same name is measured with all slots that are tried", async () => {
  const bench = new Bench();
  const first = await bench.run();
  bench.digest = "e".repeat(64);
  bench.opened.length = 0;
  const second = await bench.run();
  expect(second.wasMeasured).toBe(true);
  expect(bench.opened.slice(0, 2)).toEqual([first.slots, 8]);
  expect(bench.open).toBe(2);
});

test("a measurement is good for a month, and not for ever where the clock goes back", async () => {
  const bench = new Bench();
  await bench.run();
  bench.nowMs += 29 * 24 * 3_600_000;
  expect((await bench.run()).wasMeasured).toBe(false);
  bench.nowMs += 2 * 24 * 3_600_000;
  expect((await bench.run()).wasMeasured).toBe(true);
  bench.nowMs -= 3_600_000;
  expect((await bench.run()).wasMeasured).toBe(true);
});

test("--benchmark always measures again, never measures nothing and uses what is known", async () => {
  const bench = new Bench();
  const blind = await bench.run({ benchmark: "never" });
  expect([blind.wasMeasured, blind.speed, blind.slots]).toEqual([false, null, 4]);
  expect((await bench.run({ benchmark: "always" })).wasMeasured).toBe(true);
  const again = await bench.run({ benchmark: "always" });
  expect(again.wasMeasured).toBe(true);
  const known = await bench.run({ benchmark: "never" });
  expect([known.wasMeasured, known.speed]).toEqual([false, again.speed]);
});

test("a synthetic model has no speed, whatever the settings say", async () => {
  const bench = new Bench();
  const source: ModelSource = { kind: "synthetic", name: "words" };
  const found = await bench.run({ benchmark: "always" }, { source });
  expect([found.wasMeasured, found.speed, found.slots]).toEqual([false, null, 4]);
});

test("as many slots are tried as fit the memory, and slots that were given must fit", async () => {
  const bench = new Bench();
  bench.slotsFit = 3;
  const found = await bench.run();
  expect(bench.opened.slice(0, 3)).toEqual([8, 4, 2]);
  expect(found.slots).toBeLessThanOrEqual(2);
  await expect(bench.run({ slots: 4 })).rejects.toThrow("Cannot load the model");
  bench.slotsFit = 0;
  await expect(bench.run({ machine: "m3" })).rejects.toThrow("Cannot load the model");
  expect(bench.open).toBe(1);
});

const gibibyte = 2 ** 30;

test("a GPU is tried with more slots than a processor", async () => {
  const bench = new Bench();
  await bench.run({ gpuBytes: 24 * gibibyte });
  expect(bench.opened[0]).toBe(16);
});

test.for([
  ["all of them fit", 40, [16]],
  ["some fit", 24, [16, 13]],
  ["one fits", 10, [16, 1]],
  ["not even the weights fit", 8, [16, 4]],
] as const)("slots are tried as far as cards hold them: %s", async ([, cards, opened]) => {
  const bench = new Bench();
  bench.weightBytes = 8 * gibibyte;
  bench.bytesPerSlot = gibibyte;
  const { engine } = await bench.run({ gpuBytes: cards * gibibyte });
  expect(bench.opened.slice(0, opened.length)).toEqual(opened);
  expect(engine.model.slots).toBeLessThanOrEqual(opened.at(-1) ?? 0);
  expect(bench.open).toBe(1);
});

test("another server is tried with many slots, because its memory is its own", async () => {
  const bench = new Bench();
  const source = { kind: "upstream", url: "http://127.0.0.1:1", model: "m", key: null } as const;
  await bench.run({}, { source });
  expect(bench.opened[0]).toBe(32);
});

test("a model that answers nothing in time is served unmeasured, with the usual slots", async () => {
  const bench = new Bench();
  bench.clock = null;
  bench.tokensPerSecond = 0.001;
  const found = await bench.run({}, { budgetMs: 30 });
  expect([found.speed, found.slots]).toEqual([null, 4]);
  expect(bench.logged).toContain("Not measured: no answer came in time");
});

test("a model whose task fails is served unmeasured, and the log says why", async () => {
  const bench = new Bench();
  bench.fails = new EngineError("engine_failed", "It broke");
  const found = await bench.run({ slots: 2 });
  expect([found.speed, found.slots, bench.open]).toEqual([null, 2, 1]);
  expect(bench.logged).toContain("Not measured: a task failed");
});

test("a worker that is stopped while it measures gives its model back", async () => {
  const bench = new Bench();
  const stop = new AbortController();
  bench.clock = null;
  bench.tokensPerSecond = 50;
  const running = bench.run({}, { signal: stop.signal });
  setImmediate(() => stop.abort());
  await expect(running).rejects.toThrow("aborted");
  expect(bench.open).toBe(0);
});

test.for([
  ["half of it", (text: string) => text.slice(0, text.length / 2)],
  ["binary garbage", () => "\u0000\uFFFD\u0001"],
  ["another form", () => '{"version":1,"entries":[{"key":7}]}'],
  ["a later version", (text: string) => text.replace('"version":1', '"version":2')],
  ["far too much", (text: string) => text + " ".repeat(2 ** 20)],
  ["nothing", () => ""],
] as const)("a file that holds %s is begun anew", async ([, spoil]) => {
  const bench = new Bench();
  await bench.run({ slots: 1 });
  const path = join(bench.folder, "benchmarks.json");
  writeFileSync(path, spoil(readFileSync(path, "utf8")));
  expect((await bench.run({ slots: 1 })).wasMeasured).toBe(true);
  expect(bench.logged.join()).toContain("cannot be read");
  expect((await bench.run({ slots: 1 })).wasMeasured).toBe(false);
});

test("the file is its owner's alone and stays small", async () => {
  const folder = scratchFolder();
  const { benchmark } = await new Bench().run({ slots: 1 });
  const cache = await BenchmarkCache.open(folder, () => undefined);
  for (let at = 0; at < 100; at++) {
    const entry = { key: `k${at}`, source: `s${at}`, best_slots: 2 };
    await cache.put({ ...entry, benchmark: benchmark ?? expect.fail("it was measured") });
  }
  const path = join(folder, "benchmarks.json");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const again = await BenchmarkCache.open(folder, () => undefined);
  expect([again.find("k99") !== null, again.find("k36") !== null]).toEqual([true, true]);
  expect([again.find("k35"), again.bestSlotsOf("s35")]).toEqual([null, null]);
});

test("a disk that takes nothing costs the next start its time, and no more", async () => {
  const bench = new Bench();
  const { benchmark } = await bench.run({ slots: 1 });
  const logged: string[] = [];
  const nowhere = join(bench.folder, "none");
  const log = (_level: string, message: string) => void logged.push(message);
  const cache = await BenchmarkCache.open(nowhere, log);
  const entry = { key: "k", source: "s", best_slots: null };
  await cache.put({ ...entry, benchmark: benchmark ?? expect.fail("it was measured") });
  expect(logged).toEqual(["Cannot keep what was measured"]);
  expect(cache.find("k")).not.toBeNull();
});
