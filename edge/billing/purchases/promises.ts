import { assert } from "../../../shared/assert.ts";
import type { Env } from "../../env.ts";
import { askToVerify } from "../../x402/facilitator.ts";
import { guestKeyId } from "../../x402/payer.ts";
import { settlingOnly } from "../../x402/permit-body.ts";
import type { Books } from "../books.ts";
import { lackingCredit, spendable } from "../money/buckets.ts";
import type { Closed } from "../close-tasks.ts";
import type { PurchaseAnswer, PurchaseAsk } from "./purchase-answers.ts";
import type { PurchaseStore } from "./purchase-store.ts";

/** What one address may have promised and not paid yet: a wallet can be emptied meanwhile (S5). */
const promisesMax = 8;

/**
 * Transfers that are signed for a most before a task, and settled after it for what it did cost
 * (x402, `upto`).
 * S1. The facilitator is asked whether it could settle the most before anything runs. The promise
 *     is stored before the task begins, pays for that task alone, and is nobody's credit.
 * S2. What the task cost is owed from the very transaction that posts it, so that no crash comes
 *     between; a task that cost nothing settles nothing. It is at most what was signed.
 * S3. The facilitator is asked of what is owed until it answers, by the rules of P1, P3 and P5:
 *     what it settled is credited, which makes the account even. A refusal, of a first question or
 *     after a lost answer, leaves the account owing, for everybody to see; the operator is told.
 * S4. An authorization has one task, whatever comes of that: another signature costs nothing.
 * S5. Nobody is trusted with more than a few promises at a time, nor with any while the account
 *     owes what was refused.
 */
export class Promises {
  readonly #store: PurchaseStore;
  readonly #parts: { readonly env: Env; readonly books: Books };
  /** The facilitator is being asked of these; the task of each. */
  readonly #verifying = new Map<string, string>();

  constructor(store: PurchaseStore, parts: { readonly env: Env; readonly books: Books }) {
    this.#store = store;
    this.#parts = parts;
  }

  /** Takes a promise for a task, or says why not (S1, S4, S5). */
  async take(ask: PurchaseAsk): Promise<PurchaseAnswer> {
    const { id, taskId, limit, micros, expiresMs } = ask;
    const state = this.#parts.books.opened;
    const usedBy = this.#store.find(id)?.taskId ?? this.#verifying.get(id) ?? null;
    if (usedBy !== null) return { kind: "used", taskId: usedBy };
    const lacking = lackingCredit(state);
    if (micros < limit) return { kind: "short", free: micros, lacking };
    const owed = this.#store.owed();
    // What an account owes that no promise is left for.
    const debt = owed.reduce((left, one) => left - one.micros, -spendable(state));
    if (debt > 0n) return { kind: "owing", micros: debt, lacking };
    const tasks = state.promised.size + this.#verifying.size + owed.length;
    if (tasks >= promisesMax) return { kind: "busy", tasks };
    this.#verifying.set(id, taskId);
    try {
      const verified = await askToVerify(this.#parts.env, ask.body);
      if (verified.kind === "refused") return verified;
      if (verified.kind === "unknown") return { kind: "unknown" };
      this.#store.add({ ...ask, state: "running", transaction: "", asked: 0 });
      this.#parts.books.opened.promised.set(taskId, { limit: micros, expiresMs });
      return { kind: "promised" };
    } finally {
      this.#verifying.delete(id);
    }
  }

  /** The task never began; false where the purchase is no such promise. */
  giveUp(id: string, taskId: string): boolean {
    const promise = this.#store.find(id);
    if (promise?.state !== "running" || promise.taskId !== taskId) return false;
    this.#parts.books.opened.promised.delete(taskId);
    this.#store.end(id, "unused");
    return true;
  }

  /** Promises fall due as their tasks end (S2); gives whether any is to be settled. */
  fall({ items }: Closed): boolean {
    // Other accounts promise nothing.
    if (items.length === 0 || !this.#parts.books.opened.keys.has(guestKeyId)) return false;
    const costs = new Map(items.map(({ resolution: { taskId, cost } }) => [taskId, cost]));
    let isAnyOwed = false;
    for (const { id, taskId, micros, body } of this.#store.running([...costs.keys()])) {
      const cost = costs.get(taskId ?? "") ?? 0n;
      assert(cost <= micros, "a task costs no more than was signed");
      if (cost === 0n) this.#store.end(id, "unused");
      else this.#store.owe(id, cost, settlingOnly(body, cost));
      isAnyOwed ||= cost > 0n;
    }
    return isAnyOwed;
  }
}
