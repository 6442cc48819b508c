import { assert } from "../../shared/assert.ts";
import { type AccountState, keepMemory } from "./account-state.ts";
import { AccountStore } from "./account-store.ts";
import { AccountWorkers } from "./account-workers.ts";
import type { Window } from "./money/earnings-window.ts";
import { MoneyStore } from "./money/money-store.ts";
import { upgradeStorage } from "./upgrade-storage.ts";

/** What an account has in memory, and the storage that this is a copy of. */
export class Books {
  readonly store: AccountStore;
  readonly money: MoneyStore;
  readonly workers: AccountWorkers;
  /** Null before the account is opened. */
  state: AccountState | null;
  readonly #storage: DurableObjectStorage;
  readonly #disputeMs: number;

  /** `disputeMs` is how long earnings wait. */
  constructor(storage: DurableObjectStorage, disputeMs: number) {
    this.#storage = storage;
    this.#disputeMs = disputeMs;
    this.store = new AccountStore(storage.sql);
    this.money = new MoneyStore(storage.sql);
    this.workers = new AccountWorkers(storage.sql);
    storage.transactionSync(() => upgradeStorage(storage.sql, Date.now()));
    this.state = this.#load();
  }

  get opened(): AccountState {
    assert(this.state !== null, "the account is open before its money moves");
    return this.state;
  }

  get window(): Window {
    return { nowMs: Date.now(), disputeMs: this.#disputeMs };
  }

  /** Reads memory anew from what is stored; whatever was memory alone is forgotten. */
  reload(): void {
    this.state = this.#load();
  }

  /** Tasks that were made before then cannot be closed any more. */
  forgetBefore(ms: number): void {
    this.store.resolved.forgetBefore(ms);
    this.store.forgetRepliesBefore(ms);
  }

  /**
   * Memory follows storage: where the transaction fails, memory is read again from what is stored.
   */
  durably<T>(change: () => T): T {
    try {
      return this.#storage.transactionSync(change);
    } catch (error) {
      const before = this.state;
      this.state = this.#load();
      if (this.state !== null && before !== null) keepMemory(this.state, before);
      throw error;
    }
  }

  #load(): AccountState | null {
    const state = this.store.load();
    if (state !== null) this.money.loadInto(state);
    return state;
  }
}
