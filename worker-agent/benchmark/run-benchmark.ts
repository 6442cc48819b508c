import type { Engine } from "../engine/engine.ts";
import type { Benchmark } from "./benchmark.ts";
import { measureResults } from "./measure-results.ts";
import type { OnStep } from "./measure-text.ts";
import { measureText } from "./measure-text.ts";
import { kindToMeasure } from "./probe-tasks.ts";
import { startStopwatch } from "./stopwatch.ts";

export interface BenchmarkOptions {
  /** Given up after this; what was measured until then counts. */
  readonly budgetMs: number;
  readonly onStep?: OnStep;
  readonly nowMs?: () => number;
}

/**
 * Enough for a large model to read a long prompt and answer at every level; a small one is done in
 * a few seconds, because each step ends when it is sure.
 */
export const benchmarkBudgetMs = 30_000;

/**
 * Measures a loaded engine through the interface every engine has, with real tasks. Null where it
 * serves nothing that can be measured, or is so slow that the time ended before its first answer.
 * Rejects with the signal's reason when aborted, and with EngineError where a short task fails.
 */
export async function runBenchmark(
  engine: Engine,
  signal: AbortSignal,
  options: BenchmarkOptions,
): Promise<Benchmark | null> {
  const kind = kindToMeasure(engine.model.abilities);
  if (kind === null) return null;
  using watch = startStopwatch(options.budgetMs, signal, options.nowMs);
  const startMs = watch.nowMs();
  const onStep = options.onStep ?? (() => undefined);
  const found =
    kind === "chat" || kind === "completion"
      ? await measureText(engine, kind, watch, onStep)
      : await measureResults(engine, kind, watch, onStep);
  signal.throwIfAborted();
  return found === null ? null : { ...found, tookMs: watch.nowMs() - startMs };
}
