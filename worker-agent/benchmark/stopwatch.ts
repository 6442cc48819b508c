/** The time a measurement has, and what ends it. */
export interface Stopwatch extends Disposable {
  /** Aborts at the caller's wish or when the time is used up. */
  readonly signal: AbortSignal;
  nowMs(): number;
  /** 0 once the time is used up. */
  leftMs(): number;
}

export function startStopwatch(
  budgetMs: number,
  caller: AbortSignal,
  nowMs: () => number = () => performance.now(),
): Stopwatch {
  const stop = new AbortController();
  const onAbort = () => stop.abort(caller.reason);
  caller.addEventListener("abort", onAbort, { once: true });
  if (caller.aborted) onAbort();
  const endMs = nowMs() + budgetMs;
  const timer = setTimeout(() => stop.abort(new Error("the time is used up")), budgetMs);
  return {
    signal: stop.signal,
    nowMs,
    leftMs: () => Math.max(0, endMs - nowMs()),
    [Symbol.dispose]() {
      clearTimeout(timer);
      caller.removeEventListener("abort", onAbort);
    },
  };
}

/** The middle one of some measurements, so that one that was disturbed counts for nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
