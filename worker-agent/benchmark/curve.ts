import { EngineError } from "../engine/engine.ts";
import type { Benchmark, Level } from "./benchmark.ts";
import type { Stopwatch } from "./stopwatch.ts";

/** One task after another until the signal aborts; `done` is told of what came, as it comes. */
export type Stream = (done: (units: number) => void, signal: AbortSignal) => Promise<void>;

/** How long one level is watched: until it is sure enough, and never longer than that. */
export interface LevelPace {
  readonly leastMs: number;
  readonly mostMs: number;
  /** So many units of each stream are enough after `leastMs`. */
  readonly units: number;
}

/**
 * Where two levels running lose so much, more streams only wait for each other. One alone may be
 * a disturbance, or the batch size at which a backend changes its method.
 */
const lostOfBest = 0.9;
const lostLevelsMax = 2;

/** 1, 2, 4, 8 … and the most itself. */
export function levelsUpTo(most: number): number[] {
  const levels: number[] = [];
  for (let streams = 1; streams < most; streams *= 2) levels.push(streams);
  return [...levels, most];
}

/**
 * How much all streams together do at each number of them. Ends early where more of them do
 * clearly less, fail, or the time is used up.
 */
export async function measureCurve(
  stream: Stream,
  most: number,
  pace: LevelPace,
  { watch, onLevel }: { readonly watch: Stopwatch; readonly onLevel: (streams: number) => void },
): Promise<Pick<Benchmark, "curve" | "loadFault">> {
  const curve: Level[] = [];
  let best = 0;
  let lost = 0;
  for (const streams of levelsUpTo(most)) {
    if (watch.leftMs() === 0 || watch.signal.aborted) break;
    onLevel(streams);
    let perSecond: number | null;
    try {
      perSecond = await measureLevel(stream, streams, pace, watch);
    } catch (error) {
      // One stream that fails is an engine that fails; many may be more than its memory holds.
      if (!(error instanceof EngineError) || curve.length === 0) throw error;
      return { curve, loadFault: error.message.slice(0, 512) };
    }
    if (perSecond === null) break;
    curve.push({ streams, perSecond });
    best = Math.max(best, perSecond);
    lost = perSecond < lostOfBest * best ? lost + 1 : 0;
    if (lost === lostLevelsMax) break;
  }
  return { curve, loadFault: null };
}

/** Null where the time was used up before anything could be said. */
async function measureLevel(
  stream: Stream,
  streams: number,
  pace: LevelPace,
  watch: Stopwatch,
): Promise<number | null> {
  const stop = new AbortController();
  const onAbort = () => stop.abort(watch.signal.reason);
  watch.signal.addEventListener("abort", onAbort, { once: true });
  if (watch.signal.aborted) onAbort();
  const begun = new Set<number>();
  let startMs: number | null = null;
  let endMs = watch.nowMs();
  let units = 0;
  // Counted from when every stream has given something: before that some only read their prompt.
  const done = (index: number) => (count: number) => {
    if (stop.signal.aborted) return;
    const nowMs = watch.nowMs();
    if (startMs !== null) {
      units += count;
      endMs = nowMs;
      const elapsedMs = nowMs - startMs;
      const isSure = elapsedMs >= pace.leastMs && units >= pace.units * streams;
      if (isSure || elapsedMs >= pace.mostMs) stop.abort();
      return;
    }
    begun.add(index);
    if (begun.size === streams) startMs = nowMs;
  };
  const running = Array.from({ length: streams }, async (_, index) => {
    try {
      while (!stop.signal.aborted) await stream(done(index), stop.signal);
    } catch (error) {
      if (!stop.signal.aborted) {
        stop.abort();
        throw error;
      }
      // Aborted on purpose: engines may say so by throwing.
    }
  });
  try {
    // All of them: a failed one must not leave the others behind.
    const ends = await Promise.allSettled(running);
    const failed = ends.find((end) => end.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  } finally {
    watch.signal.removeEventListener("abort", onAbort);
  }
  if (startMs === null || endMs <= startMs || units === 0) return null;
  return (1_000 * units) / (endMs - startMs);
}
