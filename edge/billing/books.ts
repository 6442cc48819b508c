import { assert } from "../../shared/assert.ts";
import type { AccountSettings } from "./account-answers.ts";
import { type AccountState, createAccountState, keepMemory } from "./account-state.ts";
import { AccountStore } from "./account-store.ts";
import type { Window } from "./money/earnings-window.ts";
import { MoneyStore } from "./money/money-store.ts";
import { upgradeStorage } from "./upgrade-storage.ts";

/** What an account has in memory, and the storage that this is a copy of. */
export class Books {
  readonly store: AccountStore;
  readonly money: MoneyStore;
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

  /** Opens the account, or changes the settings of an open one. */
  open({ accountId, status, concurrencyMax }: Omit<AccountSettings, "limits">): void {
    const state = this.state ?? createAccountState(accountId);
    state.status = status;
    state.concurrencyMax = concurrencyMax;
    this.store.save(state);
    this.state = state;
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
