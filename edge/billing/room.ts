import type { HoldAnswer } from "./account-answers.ts";
import { holdCredit, type HoldRequest, type HoldResult } from "./account-state.ts";
import type { Books } from "./books.ts";
import { spendable } from "./money/buckets.ts";

/**
 * A task's answer ends before its books are closed: closings gather for some 40 ms and then take a
 * call. Whoever asks one thing after the other, with room for one, would be refused in between.
 * Longer than that nobody waits: what still has no room has tasks that run.
 */
const waitMsMax = 250;
/** All of them try again at each closing. */
const waitersMax = 64;

type Refusal = Exclude<HoldAnswer, { readonly kind: "held" }>;
type Found = HoldResult | Refusal;

/** Holds that have no room wait a moment for tasks that are about to be closed. */
export class Room {
  readonly #waiters = new Set<() => void>();

  /** Sets credit aside, unless `refuse` says why not; asks both again as tasks are closed. */
  async hold(books: Books, request: HoldRequest, refuse: () => Refusal | null): Promise<Found> {
    const untilMs = Date.now() + waitMsMax;
    for (;;) {
      const answer = refuse() ?? holdCredit(books.opened, request, Date.now());
      const leftMs = untilMs - Date.now();
      if (leftMs <= 0 || !this.#mayWait(books, request, answer)) return answer;
      await this.#nextClosing(leftMs);
    }
  }

  /** Tasks were closed. */
  closed(): void {
    for (const wake of this.#waiters) wake();
  }

  #mayWait({ opened: state }: Books, request: HoldRequest, answer: Found): boolean {
    if (answer.kind !== "refused" || this.#waiters.size >= waitersMax) return false;
    const { code, limit } = answer;
    const isFull = code === "rate_limit_exceeded" || code === "insufficient_quota";
    // Where it is known how long it takes, it is not a task's end that helps.
    const isUnknown = (limit?.retryAfterMs ?? null) === null;
    // Credit that no task holds comes back with none of them.
    const isBeyond = limit === undefined && request.limit > spendable(state);
    const isCredit = code === "insufficient_quota";
    return isFull && isUnknown && !(isCredit && isBeyond) && state.holds.size > 0;
  }

  #nextClosing(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiters.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, withinMs);
      this.#waiters.add(wake);
    });
  }
}
