import { assert } from "../../../shared/assert.ts";
import type { Micros } from "../../../shared/money.ts";
import {
  type AccountState,
  createAccountState,
  type Mint,
  mintCredit,
  type Refused,
  refused,
} from "../account-state.ts";
import type { Books } from "../books.ts";
import { lost } from "../standing.ts";
import { changeBucket } from "./buckets.ts";
import { addEarned, nextReleaseMs, releaseDue, type Window } from "./earnings-window.ts";
import {
  type Incoming,
  fingerprintOf,
  moveMoney,
  type MoveRequest,
  type MoveResult,
} from "./move-money.ts";
import {
  expirePending,
  type Pending,
  type PendingChange,
  pendMoney,
  type PendRequest,
  type PendResult,
  postPending,
  type PostResult,
  voidPending,
  type VoidResult,
} from "./pending-money.ts";
import { recordDecided } from "./record-decided.ts";
import { refuseMint } from "./refuse-mint.ts";

/** One account's money as it moves by itself and for no task, stored as it moves. */
export class Moves {
  readonly #books: Books;

  constructor(books: Books) {
    this.#books = books;
  }

  /** New credit, once an id. */
  mint(mint: Mint): { kind: "minted" } | Refused {
    const { opened: state, money } = this.#books;
    if (state.standing === "lost") return lost(state);
    const before = money.mintedMicros(mint.id);
    const why = refuseMint(state, mint.micros, before);
    if (why !== null) return why;
    if (before !== null) return { kind: "minted" };
    this.#books.durably(() => {
      const transfer = mintCredit(state, mint, this.#books.window.nowMs);
      money.saveMint(mint);
      recordDecided(this.#books, { transfers: [transfer], earnings: [], lots: [] });
    });
    return { kind: "minted" };
  }

  /** M1 to M4 of move-money.ts. */
  move(request: MoveRequest): MoveResult {
    const { money, opened } = this.#books;
    if (opened.standing === "lost") return lost(opened);
    const fingerprint = fingerprintOf(request);
    const before = money.moveOf(request.id);
    if (before === fingerprint) return { kind: "moved" };
    if (before !== null) {
      return refused("idempotency_conflict", `${request.id} moved something else`);
    }
    this.passTime();
    return this.#books.durably(() => {
      const decided = moveMoney(this.#books.opened, request, this.#books.window);
      if (decided.kind === "refused") return decided;
      money.saveMove(request.id, fingerprint);
      recordDecided(this.#books, decided);
      return { kind: "moved" };
    });
  }

  pend(request: PendRequest): PendResult {
    const change = this.#change(request.id, (state, before, at) =>
      pendMoney(state, request, before, at),
    );
    return change.kind === "refused" ? change : { kind: "pending", pending: change.pending };
  }

  post(post: { readonly id: string; readonly micros: Micros | null }): PostResult {
    const change = this.#change(post.id, (state, before, at) =>
      postPending(state, post, before, at),
    );
    return change.kind === "refused" ? change : { kind: "posted", pending: change.pending };
  }

  void(id: string): VoidResult {
    const change = this.#change(id, (state, before, at) => voidPending(state, id, before, at));
    return change.kind === "refused" ? change : { kind: "void", pending: change.pending };
  }

  /**
   * Counts rows of another account's outbox (O2). An account that nobody has opened takes them too,
   * as one that may run nothing: its money waits there, and the giver's outbox does not.
   */
  take(source: string, rows: readonly Incoming[], accountId: string): void {
    const { store, money, window } = this.#books;
    const state = this.#books.state ?? unopened(accountId);
    this.#books.durably(() => {
      const seen = store.earningsSeq(source);
      let latest = seen;
      const lots: number[] = [];
      for (const { seq, micros, asset = "CREDIT", bucket = "earned" } of rows) {
        if (seq <= seen) continue;
        latest = Math.max(latest, seq);
        const isWindowed = asset === "CREDIT" && bucket === "earned";
        if (isWindowed) lots.push(addEarned(state, micros, window));
        else {
          changeBucket(state, asset, bucket, micros);
          if (asset !== "CREDIT" || bucket !== "available") {
            money.saveBuckets(state, [{ asset, bucket }]);
          }
        }
      }
      store.save(state);
      money.saveLots(state, lots);
      store.saveEarningsSeq(source, latest);
    });
    this.#books.state = state;
  }

  /** Releases what was earned long enough ago, and returns what has expired. */
  passTime(): void {
    const { state, money, window: at } = this.#books;
    if (state === null || state.standing !== "open") return;
    if ((nextReleaseMs(state) ?? Infinity) <= at.nowMs) {
      this.#books.durably(() => {
        recordDecided(this.#books, { ...releaseDue(state, at.nowMs), earnings: [] });
      });
    }
    for (const pending of money.expiredPendings(at.nowMs)) {
      this.#books.durably(() => {
        this.#record(expirePending(this.#books.opened, pending, at));
      });
    }
  }

  /** When time changes something next, or null. */
  get nextMs(): number | null {
    const { state, money } = this.#books;
    if (state !== null && state.standing !== "open") return null;
    const times = [state === null ? null : nextReleaseMs(state), money.nextExpiryMs()];
    const known = times.filter((ms) => ms !== null);
    return known.length === 0 ? null : Math.min(...known);
  }

  #change(
    id: string,
    decide: (state: AccountState, before: Pending | null, at: Window) => PendingChange,
  ): PendingChange {
    const { opened } = this.#books;
    if (opened.standing === "lost") return lost(opened);
    this.passTime();
    return this.#books.durably(() => {
      const before = this.#books.money.pending(id);
      const change = decide(this.#books.opened, before, this.#books.window);
      if (change.kind !== "refused") this.#record(change);
      return change;
    });
  }

  #record(change: PendingChange): void {
    assert(change.kind !== "refused", "what was set aside can return");
    this.#books.money.savePending(change.pending);
    if (change.decided !== null) recordDecided(this.#books, change.decided);
  }
}

function unopened(accountId: string): AccountState {
  return { ...createAccountState(accountId), standing: "waiting" };
}
