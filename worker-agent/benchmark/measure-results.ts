import type { Engine, ResultTask } from "../engine/engine.ts";
import { EngineError } from "../engine/engine.ts";
import type { Benchmark } from "./benchmark.ts";
import type { LevelPace } from "./curve.ts";
import { measureCurve } from "./curve.ts";
import type { OnStep } from "./measure-text.ts";
import { longProbe, resultProbe, unitByKind } from "./probe-tasks.ts";
import type { Stopwatch } from "./stopwatch.ts";
import { median } from "./stopwatch.ts";

/** An image takes seconds: one from each stream has to do. */
const pace: LevelPace = { leastMs: 250, mostMs: 4_000, units: 1 };
const aloneRuns = 3;
const aloneMs = 1_500;
const firstWords = 64;

/** Measures an engine whose answers are documents. Null where the time ran out at once. */
export async function measureResults(
  engine: Engine,
  kind: ResultTask["kind"],
  watch: Stopwatch,
  onStep: OnStep,
): Promise<Omit<Benchmark, "tookMs"> | null> {
  let salt = 0;
  onStep("warming up");
  const warm = await timed(engine, resultProbe(kind, ++salt).task, watch);
  if (warm === null) return null;
  onStep("one task alone");
  const times: number[] = [];
  const startMs = watch.nowMs();
  let items = 0;
  let promptTokens = 0;
  while (times.length < aloneRuns && (times.length === 0 || watch.nowMs() - startMs < aloneMs)) {
    const probe = resultProbe(kind, ++salt);
    const found = await timed(engine, probe.task, watch);
    if (found === null) break;
    times.push(found.ms);
    items += probe.items;
    promptTokens += found.promptTokens;
  }
  const spentMs = times.reduce((sum, ms) => sum + ms, 0);
  const perSecond = spentMs > 0 ? (1_000 * items) / spentMs : 0;
  const load = await measureCurve(
    async (done, signal) => {
      const probe = resultProbe(kind, ++salt);
      await engine.perform(probe.task, signal);
      done(probe.items);
    },
    engine.model.slots,
    pace,
    { watch, onLevel: (streams) => onStep(streams === 1 ? "1 stream" : `${streams} streams`) },
  );
  const context = await measureLength(engine, kind, { watch, onStep });
  return {
    kind,
    unit: unitByKind[kind],
    firstMs: times.length > 0 ? median(times) : warm.ms,
    promptTokensPerS: spentMs > 0 ? (1_000 * promptTokens) / spentMs : 0,
    perSecond,
    curve: load.curve.length > 0 ? load.curve : [{ streams: 1, perSecond }],
    loadFault: load.loadFault,
    ...context,
  };
}

interface Timed {
  readonly ms: number;
  readonly promptTokens: number;
}

/** One task, or null where it was cut off by the end of the time. */
async function timed(engine: Engine, task: ResultTask, watch: Stopwatch): Promise<Timed | null> {
  const startMs = watch.nowMs();
  try {
    const { usage } = await engine.perform(task, watch.signal);
    return { ms: watch.nowMs() - startMs, promptTokens: usage.prompt };
  } catch (error) {
    if (watch.signal.aborted) return null;
    throw error;
  }
}

/** The longest text that one input may be, by doubling; 0 for kinds that read none. */
async function measureLength(
  engine: Engine,
  kind: ResultTask["kind"],
  { watch, onStep }: { readonly watch: Stopwatch; readonly onStep: OnStep },
): Promise<Pick<Benchmark, "contextTokens" | "contextFault">> {
  const most = engine.model.contextTokens;
  let last = { tokens: 0, ms: 0, words: 0 };
  let mostWords = firstWords;
  while (last.tokens < most * 0.9) {
    const tokensPerWord = last.words === 0 ? 1 : last.tokens / last.words;
    const words = Math.min(mostWords, Math.floor((most * 0.95) / tokensPerWord));
    const task = longProbe(kind, words, words);
    if (task === null || words <= last.words || 3 * last.ms > watch.leftMs()) break;
    onStep(`a text of ${words} words`);
    try {
      const found = await timed(engine, task, watch);
      if (found === null || found.promptTokens <= last.tokens) break;
      last = { tokens: found.promptTokens, ms: found.ms, words };
      mostWords = 2 * words;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (error.code !== "context_length_exceeded") {
        return { contextTokens: last.tokens, contextFault: error.message.slice(0, 512) };
      }
      // Words that became more tokens than expected are a wrong guess, not a fault.
      mostWords = Math.floor(0.7 * words);
    }
  }
  return { contextTokens: last.tokens, contextFault: null };
}
