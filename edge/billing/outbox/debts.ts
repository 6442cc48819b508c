import { describeError } from "../../../shared/log.ts";
import { edgeLog } from "../../log.ts";
import { within } from "../../within.ts";
import type { Incoming } from "../money/move-money.ts";
import { type Debt, DebtStore } from "./debt-store.ts";

/**
 * What other accounts are given by rows of the outbox, and could not be told. It is kept apart, so
 * that who cannot be reached delays nothing but its own (O3 of outbox.ts).
 * D1. Rows that were told, whether or not they were taken, are told again as they were, so that who
 *     took them knows them by their numbers; all at once, so that they are taken all or none.
 * D2. Nothing is told behind them before they were taken: each account hears in order.
 * D3. Rows that were never told are added up under the number of the last of them. So what is kept
 *     for one account does not grow with the time that it is not reached.
 * D4. The next try is stored before this one begins: a try that dies with its object is made again.
 */

/** Tells an account what it is given by these rows of the outbox. */
export type Earn = (accountId: string, rows: readonly Incoming[]) => Promise<unknown>;

/** An object that starts anew on another machine takes a second or two. */
const tellMsMax = 5_000;
/** Told again after as long as this, doubled each time up to the most. */
const retryMs = { first: 5_000, most: 300_000 } as const;
/** A person has to look at what has waited for longer. */
const alarmingMs = 10 * 60_000;
/** Told at the same time: calls to objects that are on many machines. */
const atOnce = 32;

export class Debts {
  readonly store: DebtStore;
  readonly #by: () => string;
  readonly #earn: Earn;
  readonly #onDone: () => Promise<void>;
  #isRunning = false;

  /** `by` is the account that owes, `onDone` plans what is next. */
  constructor(
    sql: SqlStorage,
    parts: {
      readonly by: () => string;
      readonly earn: Earn;
      readonly onDone: () => Promise<void>;
    },
  ) {
    this.store = new DebtStore(sql);
    this.#by = parts.by;
    this.#earn = parts.earn;
    this.#onDone = parts.onDone;
  }

  /** When somebody is to be told again; not while others are told, which plans it at its end. */
  get nextMs(): number | null {
    const nextMs = this.store.nextMs();
    return nextMs === null || !this.#isRunning ? nextMs : Math.max(nextMs, Date.now() + tellMsMax);
  }

  /** Tells accounts, each unless it is owed something already; gives who did not take it. */
  async tell(
    rowsByAccount: ReadonlyMap<string, readonly Incoming[]>,
  ): Promise<ReadonlyMap<string, "told" | "untold">> {
    const left = new Map<string, "told" | "untold">();
    const owed = new Set(this.store.list().map(({ accountId }) => accountId));
    const free: [string, readonly Incoming[]][] = [];
    for (const [accountId, rows] of rowsByAccount) {
      if (owed.has(accountId)) left.set(accountId, "untold");
      else free.push([accountId, rows]);
    }
    await inGroups(free, async ([accountId, rows]) => {
      if (!(await this.#isTaken(accountId, rows))) left.set(accountId, "told");
    });
    return left;
  }

  /** Keeps what was not taken; runs in the transaction that removes it from the outbox. */
  keep(accountId: string, rows: readonly Incoming[], how: "told" | "untold"): void {
    const nowMs = Date.now();
    const known = this.store.find(accountId);
    if (known === null) {
      const nextMs = how === "told" ? nowMs + retryMs.first : nowMs;
      this.store.saveDebt({ accountId, sinceMs: nowMs, tries: how === "told" ? 1 : 0 }, nextMs);
    }
    if (how === "told") this.store.addTold(accountId, rows);
    else this.store.addUntold(accountId, rows);
  }

  /** Tells whoever is due. Nobody waits for it: who does not answer holds nothing else up. */
  async run(): Promise<void> {
    if (this.#isRunning) return;
    let due = this.store.due(Date.now(), atOnce);
    if (due.length === 0) return;
    this.#isRunning = true;
    try {
      for (; due.length > 0; due = this.store.due(Date.now(), atOnce)) {
        await inGroups(due, (debt) => this.#pay(debt));
      }
    } finally {
      this.#isRunning = false;
    }
    await this.#onDone();
  }

  async #pay(debt: Debt): Promise<void> {
    const { accountId } = debt;
    const tries = debt.tries + 1;
    const waitMs = Math.min(retryMs.most, retryMs.first * 2 ** Math.min(debt.tries, 10));
    this.store.saveDebt({ ...debt, tries }, Date.now() + waitMs);
    for (;;) {
      if (this.store.told(accountId).length === 0) this.store.tellUntold(accountId);
      const rows = this.store.told(accountId);
      if (rows.length === 0) break;
      if (!(await this.#isTaken(accountId, rows))) {
        this.#warn({ ...debt, tries });
        return;
      }
      this.store.clearTold(accountId);
      // It is there again: what is told next has waited since now.
      this.store.saveDebt({ accountId, sinceMs: Date.now(), tries: 0 }, Date.now() + retryMs.first);
    }
    this.store.removeDebt(accountId);
  }

  async #isTaken(accountId: string, rows: readonly Incoming[]): Promise<boolean> {
    try {
      await within(tellMsMax, this.#earn(accountId, rows));
      return true;
    } catch (error) {
      // It may have taken them all the same (D1).
      edgeLog("warn", "an account was not told what it is given", {
        account: accountId,
        by: this.#by(),
        error: describeError(error),
      });
      return false;
    }
  }

  #warn({ accountId, sinceMs, tries }: Debt): void {
    const waitedMs = Date.now() - sinceMs;
    if (waitedMs < alarmingMs) return;
    edgeLog("error", "an account has not been given what it is owed", {
      account: accountId,
      by: this.#by(),
      minutes: Math.floor(waitedMs / 60_000),
      tries,
    });
  }
}

async function inGroups<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < items.length; at += atOnce) {
    await Promise.all(items.slice(at, at + atOnce).map(work));
  }
}
