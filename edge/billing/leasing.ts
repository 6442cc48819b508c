import { grantLease, issuableUntilMs, returnLease } from "./account-leases.ts";
import type { AccountState } from "./account-state.ts";
import type { AccountStore } from "./account-store.ts";
import type { LeaseAsk, LeaseGrant, LeaseReport } from "./lease-terms.ts";

/** The leases of one account, stored as they change; the rules are in account-leases.ts. */
export class Leasing {
  readonly #store: AccountStore;
  readonly #state: () => AccountState | null;
  readonly #durably: <T>(change: () => T) => T;

  /** `state` gives null before the account is opened. */
  constructor(
    store: AccountStore,
    state: () => AccountState | null,
    durably: <T>(change: () => T) => T,
  ) {
    this.#store = store;
    this.#state = state;
    this.#durably = durably;
  }

  grant(ask: LeaseAsk): LeaseGrant | null {
    const state = this.#state();
    if (state === null) return null;
    return this.#durably(() => {
      const grant = grantLease(state, ask, Date.now());
      if (grant !== null) this.#store.saveLeases(state, [ask.id]);
      return grant;
    });
  }

  take(reports: readonly LeaseReport[]): void {
    const state = this.#state();
    if (state === null) return;
    this.#durably(() => {
      for (const report of reports) returnLease(state, report);
      this.#store.saveLeases(
        state,
        reports.map(({ id }) => id),
      );
    });
  }

  /** Resolves once nothing can be issued from leases of the key, or of any where null (L5). */
  async over(keyId: string | null): Promise<void> {
    for (;;) {
      const state = this.#state();
      const nowMs = Date.now();
      const untilMs = state === null ? null : issuableUntilMs(state, keyId, nowMs);
      if (untilMs === null) return;
      await new Promise((resolve) => setTimeout(resolve, untilMs - nowMs));
    }
  }

  /** As `over`, of several keys. */
  async allOver(keyIds: readonly (string | null)[]): Promise<void> {
    await Promise.all(keyIds.map((keyId) => this.over(keyId)));
  }
}
