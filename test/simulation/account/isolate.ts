import { holdRequestOf } from "../../../edge/billing/hold-request.ts";
import {
  createLeaseBook,
  endTask,
  giveUp,
  keepReports,
  type LeaseBook,
  spend,
  takeGrant,
  takeReports,
} from "../../../edge/billing/leases/lease-book.ts";
import { type LeaseAsk, leaseMs } from "../../../edge/billing/leases/lease-terms.ts";
import type { Terms } from "../../../edge/billing/ticket.ts";
import type { ErrorCode } from "../../../shared/errors.ts";
import type { TokenCounts } from "../../../shared/money.ts";
import type { SimulatedAccount } from "./simulated-account.ts";
import { stubId } from "../stubs.ts";
import type { World } from "../world.ts";

/** What became of a task's credit. */
export type Aside =
  | { readonly kind: "held"; readonly terms: Terms; readonly ended: () => void }
  | { readonly kind: "refused"; readonly code: ErrorCode };

/** What requests of one isolate share: edge/billing/set-aside.ts, call by call. */
export class Isolate {
  readonly #world: World;
  readonly #skewMs: number;
  #book: LeaseBook = createLeaseBook();
  #asks = 0;

  constructor(world: World) {
    this.#world = world;
    this.#skewMs = world.random.int(-world.options.skewMs, world.options.skewMs);
  }

  get nowMs(): number {
    return this.#world.schedule.nowMs + this.#skewMs;
  }

  /** It is gone with all that it knew; another takes its place. */
  die(): void {
    this.#world.trace.note("isolate", "dies");
    this.#book = createLeaseBook();
  }

  /** Sets credit aside for a task: `later` takes the time of a call, and no more where it died. */
  setAside(
    account: SimulatedAccount,
    terms: Terms,
    on: {
      readonly tokensMax: TokenCounts;
      readonly later: (run: () => void) => void;
      readonly done: (aside: Aside) => void;
    },
  ): void {
    const book = this.#book;
    const keyId = terms.key;
    const request = { keyId, limit: BigInt(terms.limit), newLeaseId: () => this.#newLeaseId() };
    const isLeasable = terms.own !== true;
    const { leaseId, ask } = isLeasable ? this.#spend(request) : { leaseId: null, ask: null };
    const ended = () => {
      if (isLeasable) endTask(book, keyId, leaseId);
    };
    if (ask !== null) this.#renew(account, ask);
    if (leaseId !== null) {
      account.checks.issued(leaseId, account.nowMs);
      return on.later(() => on.done({ kind: "held", terms: { ...terms, lease: leaseId }, ended }));
    }
    on.later(() => {
      const held = account.hold(holdRequestOf(terms, { tokensMax: on.tokensMax }));
      on.later(() => {
        if (held.kind === "held") return on.done({ kind: "held", terms, ended });
        ended();
        on.done({ kind: "refused", code: held.code });
      });
    });
  }

  #spend(request: Parameters<typeof spend>[1]): ReturnType<typeof spend> {
    const { mutant } = this.#world.options;
    const spent = spend(this.#book, request, this.nowMs);
    const lease = this.#book.credits.get(request.keyId)?.lease ?? null;
    if (mutant === null || spent.leaseId !== null || lease === null) return spent;
    const isOutlived = mutant === "lease-outlived" && lease.untilMs <= this.nowMs;
    const isOverspent = mutant === "lease-overspent" && lease.untilMs > this.nowMs;
    return isOutlived || isOverspent ? { ...spent, leaseId: lease.id } : spent;
  }

  #renew(account: SimulatedAccount, ask: LeaseAsk): void {
    const book = this.#book;
    const askedMs = this.nowMs;
    account.callLease(ask, (grant) => {
      if (book !== this.#book) return;
      if (grant === "lost") giveUp(book, ask);
      else takeGrant(book, ask, grant, { askedMs, nowMs: this.nowMs });
      this.#report(account, ask.keyId, book);
      if (grant === null || this.#world.options.mutant === "lease-outlived") return;
      this.#world.schedule.after(leaseMs, () => this.#report(account, ask.keyId, book));
    });
  }

  #report(account: SimulatedAccount, keyId: string, book: LeaseBook): void {
    if (book !== this.#book) return;
    const reports = takeReports(book, keyId, this.nowMs);
    if (reports.length === 0) return;
    account.callReturn(reports, (isTold) => {
      if (!isTold) keepReports(book, keyId, reports);
    });
  }

  #newLeaseId(): string {
    this.#asks += 1;
    return `lea_${stubId(`${this.#skewMs} ${this.#asks} ${this.#world.schedule.count}`)}`;
  }
}
