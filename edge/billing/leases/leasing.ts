import { grantLease, issuableUntilMs, returnLease } from "./account-leases.ts";
import type { Books } from "../books.ts";
import type { LeaseAsk, LeaseGrant, LeaseReport } from "./lease-terms.ts";

/** The leases of one account, stored as they change; the rules are in account-leases.ts. */
export class Leasing {
  readonly #books: Books;

  constructor(books: Books) {
    this.#books = books;
  }

  grant(ask: LeaseAsk): LeaseGrant | null {
    const { state, store } = this.#books;
    if (state === null) return null;
    return this.#books.durably(() => {
      const grant = grantLease(state, ask, Date.now());
      if (grant !== null) store.saveLeases(state, [ask.id]);
      return grant;
    });
  }

  take(reports: readonly LeaseReport[]): void {
    const { state, store } = this.#books;
    if (state === null) return;
    this.#books.durably(() => {
      for (const report of reports) returnLease(state, report);
      store.saveLeases(
        state,
        reports.map(({ id }) => id),
      );
    });
  }

  /** Resolves once nothing can be issued from leases of the key, or of any where null (L5). */
  async over(keyId: string | null): Promise<void> {
    for (;;) {
      const { state } = this.#books;
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
