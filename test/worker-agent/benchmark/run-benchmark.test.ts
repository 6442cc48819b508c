import { expect, test } from "vitest";
import { declaredSpeedSchema } from "../../../shared/protocol/listing.ts";
import type { Level } from "../../../worker-agent/benchmark/benchmark.ts";
import {
  benchmarkSchema,
  bestSlots,
  declaredSpeed,
} from "../../../worker-agent/benchmark/benchmark.ts";
import { levelsUpTo } from "../../../worker-agent/benchmark/curve.ts";
import { runBenchmark } from "../../../worker-agent/benchmark/run-benchmark.ts";
import type { Engine, GenerateTask } from "../../../worker-agent/engine/engine.ts";
import { EngineError } from "../../../worker-agent/engine/engine.ts";
import { createSyntheticEngine } from "../../../worker-agent/engine/synthetic/synthetic.ts";
import { openTinyEngine } from "../engine/tiny-engine.ts";
import { LeapingClock } from "./leaping-clock.ts";

const calm = new AbortController().signal;
const budgetMs = 60_000;

function curve(...rates: readonly number[]): Level[] {
  return rates.map((perSecond, at) => ({ streams: 2 ** at, perSecond }));
}

test.for([
  ["it grows to the end", curve(50, 95, 180, 340), 8],
  ["it is flat from the start", curve(100, 101, 102), 1],
  ["its end gains less than a twentieth", curve(50, 96, 180, 188), 4],
  ["it falls", curve(100, 80, 60), 1],
  ["it dips in the middle", curve(50, 40, 160), 4],
  ["its last level is slower than a reader", curve(8, 15, 18, 30), 2],
  ["a stream alone is slower than a reader", curve(3, 6, 11), 1],
  ["nothing was measured", [], 1],
] as const)("the best slots where %s", ([, levels, slots]) => {
  expect(bestSlots({ curve: [...levels], unit: "tokens" })).toBe(slots);
});

test("what is no text has no reader to keep up with", () => {
  expect(bestSlots({ curve: curve(0.1, 0.2, 0.4), unit: "images" })).toBe(4);
});

test("levels double up to the most, which is always one of them", () => {
  expect([1, 2, 6, 8].map((most) => levelsUpTo(most))).toEqual([
    [1],
    [1, 2],
    [1, 2, 4, 6],
    [1, 2, 4, 8],
  ]);
});

/** An engine under simulated time: 50 ms to the first token, then 100 tokens a second a stream. */
function steadyEngine(clock: LeapingClock, slots = 4, contextTokens = 8192): Engine {
  const pace = { tokensPerSecond: 100, firstTokenDelayMs: 50, answerTokens: 64 };
  return createSyntheticEngine({ ...pace, slots, contextTokens }, clock);
}

test("an engine of known speed is measured to have it", async () => {
  const clock = new LeapingClock();
  const steps: string[] = [];
  const found = await runBenchmark(steadyEngine(clock), calm, {
    budgetMs,
    nowMs: clock.nowMs,
    onStep: (step) => steps.push(step),
  });
  expect(benchmarkSchema.parse(found)).toEqual(found);
  expect(found).toMatchObject({ kind: "chat", unit: "tokens", firstMs: 50, contextFault: null });
  expect(found?.perSecond).toBeCloseTo(100, 5);
  expect(found?.curve.map(({ streams }) => streams)).toEqual([1, 2, 4]);
  for (const { streams, perSecond } of found?.curve ?? []) {
    // Answers that end are asked for anew, which costs each its first token's time.
    expect(perSecond / streams).toBeGreaterThan(75);
    expect(perSecond / streams).toBeLessThanOrEqual(115);
  }
  expect(found?.contextTokens).toBeGreaterThan(0.9 * 8192);
  expect(steps).toEqual(expect.arrayContaining(["warming up", "1 stream", "4 streams"]));
  const speed = declaredSpeed(found ?? expect.fail("it was measured"), 4);
  expect(declaredSpeedSchema.parse(speed)).toEqual(speed);
  expect(speed.decode_tokens_per_s_full).toBeGreaterThan(3 * speed.decode_tokens_per_s);
});

test("a listing of fewer slots tells the speed of those", async () => {
  const benchmark = {
    kind: "chat",
    unit: "tokens",
    firstMs: 12.3456,
    promptTokensPerS: 2e9,
    perSecond: 51,
    curve: curve(50, 90, 170),
    loadFault: null,
    contextTokens: 4_000,
    contextFault: null,
    tookMs: 1,
  } as const;
  const full = (slots: number) => declaredSpeed(benchmark, slots).decode_tokens_per_s_full;
  expect([1, 2, 3, 4, 9].map(full)).toEqual([50, 90, 90, 170, 170]);
  expect(declaredSpeed(benchmark, 1)).toMatchObject({
    first_token_ms: 12.3,
    prompt_tokens_per_s: 1e6,
  });
});

/** The same engine, but for what `before` does first. */
function withFault(engine: Engine, before: (task: GenerateTask) => void): Engine {
  return {
    ...engine,
    async *generate(task, signal) {
      before(task);
      yield* engine.generate(task, signal);
    },
  };
}

function wordsOf(task: GenerateTask): number {
  return JSON.stringify(task.request).split(" ").length;
}

test("a prompt too long for the memory is where the tested context ends", async () => {
  const clock = new LeapingClock();
  const engine = withFault(steadyEngine(clock), (task) => {
    if (wordsOf(task) > 2_500) throw new EngineError("out_of_memory", "There is no memory left");
  });
  const found = await runBenchmark(engine, calm, { budgetMs, nowMs: clock.nowMs });
  expect(found?.contextFault).toBe("There is no memory left");
  expect(found?.contextTokens).toBeGreaterThan(1_000);
  expect(found?.contextTokens).toBeLessThan(2_500);
});

test("a long context is tested as far as the time goes", async () => {
  const clock = new LeapingClock();
  const slow = { tokensPerSecond: 100, firstTokenDelayMs: 2_000, slots: 1, contextTokens: 1e6 };
  const engine = createSyntheticEngine(slow, clock);
  const found = await runBenchmark(engine, calm, { budgetMs: 20_000, nowMs: clock.nowMs });
  expect(found?.contextTokens).toBeGreaterThan(0);
  expect(found?.contextTokens).toBeLessThan(1e5);
  expect(found?.contextFault).toBeNull();
});

test("an engine that fails a short task is not measured, and says why", async () => {
  const engine = withFault(createSyntheticEngine(), () => {
    throw new EngineError("engine_failed", "The engine failed");
  });
  await expect(runBenchmark(engine, calm, { budgetMs })).rejects.toThrow("The engine failed");
});

test("a failure at full load ends the curve and leaves nothing running", async () => {
  const clock = new LeapingClock();
  const engine = steadyEngine(clock);
  let running = 0;
  const failing: Engine = {
    ...engine,
    async *generate(task, signal) {
      running += 1;
      try {
        if (running === 4) throw new EngineError("out_of_memory", "There is no memory left");
        yield* engine.generate(task, signal);
      } finally {
        running -= 1;
      }
    },
  };
  const found = await runBenchmark(failing, calm, { budgetMs, nowMs: clock.nowMs });
  expect(found?.curve.map(({ streams }) => streams)).toEqual([1, 2]);
  expect(found?.loadFault).toBe("There is no memory left");
  expect(running).toBe(0);
});

test("an engine that hangs is left when the time is used up", async () => {
  const engine = createSyntheticEngine({ firstTokenDelayMs: 3_600_000 });
  expect(await runBenchmark(engine, calm, { budgetMs: 50 })).toBeNull();
  expect(engine.stats().running).toBe(0);
});

test("whoever stops the worker stops its measurement", async () => {
  const stop = new AbortController();
  const clock = new LeapingClock();
  const engine = steadyEngine(clock);
  const onStep = (step: string) => {
    if (step === "2 streams") stop.abort();
  };
  const running = runBenchmark(engine, stop.signal, { budgetMs, nowMs: clock.nowMs, onStep });
  await expect(running).rejects.toThrow("aborted");
  expect(engine.stats().running).toBe(0);
});

test("an engine without an ability of ours is not measured", async () => {
  const engine = createSyntheticEngine();
  const mute = { ...engine, model: { ...engine.model, abilities: [] } };
  expect(await runBenchmark(mute, calm, { budgetMs })).toBeNull();
});

test.for([
  ["embeddings", "embedding", "inputs", true],
  ["rerank", "rerank", "documents", false],
  ["classification", "classification", "inputs", true],
  ["transcription", "transcription", "seconds of audio", false],
  ["images", "image", "images", false],
] as const)("an engine for %s is measured by its results", async ([ability, kind, unit, reads]) => {
  const engine = createSyntheticEngine({ documents: true, slots: 2, contextTokens: 512 });
  const narrow = { ...engine, model: { ...engine.model, abilities: [ability] } };
  const found = await runBenchmark(narrow, calm, { budgetMs });
  expect(found).toMatchObject({ kind, unit, contextFault: null });
  expect(found?.curve.map(({ streams }) => streams)).toEqual([1, 2]);
  for (const { perSecond } of found?.curve ?? []) expect(perSecond).toBeGreaterThan(0);
  expect(found?.contextTokens).toBeGreaterThanOrEqual(reads ? 300 : 0);
  const speed = declaredSpeed(found ?? expect.fail("it was measured"), 2);
  expect(declaredSpeedSchema.parse(speed)).toMatchObject({ decode_tokens_per_s: 0 });
});

test("the bundled model is measured on this machine", async () => {
  await using tiny = await openTinyEngine({ slots: 2 });
  const found = await runBenchmark(tiny.engine, calm, { budgetMs });
  expect(found).toMatchObject({ kind: "chat", unit: "tokens", contextFault: null });
  expect(found?.firstMs).toBeGreaterThan(0);
  expect(found?.perSecond).toBeGreaterThan(0);
  expect(found?.promptTokensPerS).toBeGreaterThan(0);
  expect(found?.curve.map(({ streams }) => streams)).toEqual([1, 2]);
  const { contextTokens } = tiny.engine.model;
  expect(found?.contextTokens).toBeGreaterThan(0.85 * contextTokens);
  expect(tiny.engine.stats()).toMatchObject({ running: 0, waiting: 0 });
});
