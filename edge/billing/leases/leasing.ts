import { grantLease, issuableUntilMs, returnLease } from "./account-leases.ts";
import type { Awake } from "../awake.ts";
import type { Books } from "../books.ts";
import { type LeaseAsk, type LeaseGrant, leaseMs, type LeaseReport } from "./lease-terms.ts";

/** So seldom is written down that there are leases: a busy account writes this once a minute. */
const notedAheadMs = 60_000;

/** The leases of one account; the rules are in account-leases.ts. */
export class Leasing {
  readonly #books: Books;
  readonly #awake: Awake;
  /** Every lease ends before then, those that were forgotten too (L6). */
  #notedMs: number;
  /** Until then leases can be issued from that this object knows nothing of. */
  readonly #forgottenUntilMs: number;

  constructor(books: Books, awake: Awake) {
    this.#books = books;
    this.#awake = awake;
    this.#notedMs = books.store.leasedUntilMs();
    this.#forgottenUntilMs = Math.min(this.#notedMs, Date.now() + leaseMs);
  }

  grant(ask: LeaseAsk): LeaseGrant | null {
    const { state, store } = this.#books;
    if (state === null) return null;
    const nowMs = Date.now();
    const grant = grantLease(state, ask, nowMs);
    if (grant !== null && nowMs + leaseMs > this.#notedMs) {
      store.saveLeasedUntil(nowMs + notedAheadMs);
      this.#notedMs = nowMs + notedAheadMs;
    }
    if (grant !== null) this.#awake.stay();
    return grant;
  }

  take(reports: readonly LeaseReport[]): void {
    const { state } = this.#books;
    if (state === null) return;
    for (const report of reports) returnLease(state, report);
  }

  /** Resolves once nothing can be issued from leases of the key, or of any where null (L5). */
  async over(keyId: string | null): Promise<void> {
    for (;;) {
      const { state } = this.#books;
      const nowMs = Date.now();
      const known = state === null ? null : issuableUntilMs(state, keyId, nowMs);
      const untilMs = Math.max(known ?? 0, this.#forgottenUntilMs);
      if (untilMs <= nowMs) return;
      await new Promise((resolve) => setTimeout(resolve, untilMs - nowMs));
    }
  }

  /** As `over`, of several keys. */
  async allOver(keyIds: readonly (string | null)[]): Promise<void> {
    await Promise.all(keyIds.map((keyId) => this.over(keyId)));
  }
}
