import type { SyntheticClock } from "../../../worker-agent/engine/synthetic/synthetic.ts";

interface Waiter {
  readonly dueMs: number;
  readonly resolve: () => void;
}

/** Simulated time: it leaps to the next thing that is waited for, so nothing takes real time. */
export class LeapingClock implements SyntheticClock {
  #nowMs = 1_000;
  readonly #waiters = new Set<Waiter>();

  readonly nowMs = (): number => this.#nowMs;

  wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiter: Waiter = { dueMs: this.#nowMs + ms, resolve };
      this.#waiters.add(waiter);
      const onAbort = () => {
        if (this.#waiters.delete(waiter)) resolve();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      setImmediate(() => this.#leap());
    });
  }

  #leap(): void {
    const next = [...this.#waiters].toSorted((a, b) => a.dueMs - b.dueMs)[0];
    if (next === undefined) return;
    this.#waiters.delete(next);
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    next.resolve();
  }
}
