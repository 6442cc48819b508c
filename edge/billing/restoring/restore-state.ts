import { assert } from "../../../shared/assert.ts";
import { type Asset, bookOf, type Bucket } from "../../../shared/assets.ts";
import type { JournalPlace } from "../../../shared/journal.ts";
import type { Micros } from "../../../shared/money.ts";
import {
  createAccountState,
  expireHolds,
  type Refused,
  refused,
  type Transfer,
} from "../account-state.ts";
import type { Books } from "../books.ts";
import { changeBucket } from "../money/buckets.ts";
import { addEarned } from "../money/earnings-window.ts";
import type { Pending } from "../money/pending-money.ts";
import type { DebtStore } from "../outbox/debt-store.ts";
import type { Debts } from "../outbox/debts.ts";
import { enterJournal } from "../outbox/enter-journal.ts";
import { outboxPayload } from "../outbox/outbox-payload.ts";

/**
 * An account whose storage was lost, or put back to an earlier day, takes over what the ledger
 * knows of it. The ledger is never changed by it, but for two transfers that say that it happened.
 * R1. Nothing is overwritten that the ledger has not heard of, nor while anything runs.
 * R2. It happens to the state that was compared, and to no other: to the same journal, with no row
 *     of anybody taken since.
 * R3. What others gave counts once: what the ledger has of them up to a place is in the balances,
 *     and the rows of their outboxes up to the same place are taken as seen.
 * R4. Its journal goes on behind the ledger's end, and its outbox behind every number that it can
 *     have used: by the clock, as the storage that knew them is gone. So nobody takes a new row for
 *     an old one.
 * R5. What was done is known again by its ids, so that doing it again does nothing again.
 * R6. Earnings wait for a whole window from now on: when each was earned is not known.
 */
export interface RestoreOrder {
  /** Names what was compared: the same again is the same restoring. */
  readonly id: string;
  readonly reason: string;
  /** Where the account's own journal ends, if nothing happened since it was compared. */
  readonly expected: JournalPlace;
  readonly journal: JournalPlace;
  readonly balances: readonly {
    readonly asset: Asset;
    readonly bucket: Bucket;
    readonly micros: Micros;
  }[];
  readonly told: readonly { readonly source: string; readonly seq: number }[];
  readonly closed: readonly { readonly task: string; readonly created_ms: number }[];
  readonly mints: readonly { readonly id: string; readonly micros: Micros }[];
  readonly moves: readonly { readonly id: string; readonly fingerprint: string }[];
  readonly pendings: readonly Pending[];
}

export type RestoreResult = { readonly kind: "restored" } | Refused;

/** What a restoring is known by in the object, among its moves. */
export function restoringId(id: string): string {
  return `restore:${id}`;
}

export function restoreState(
  books: Books,
  { debts }: { readonly debts: Debts },
  order: RestoreOrder,
): RestoreResult {
  const { money } = books;
  const done = restoringId(order.id);
  if (money.moveOf(done) !== null) return { kind: "restored" };
  const why = whyNot(books, debts.store, order);
  if (why !== null) return refused("conflict", why);
  books.durably(() => {
    takeOver(books, order);
    money.saveMove(done, order.id);
  });
  books.reload();
  return { kind: "restored" };
}

/** R1 and R2. */
function whyNot(books: Books, debts: DebtStore, order: RestoreOrder): string | null {
  const { opened: state, store } = books;
  expireHolds(state, Date.now());
  if (!store.isOutboxEmpty()) return "its outbox is not empty: the ledger has yet to hear of it";
  if (debts.list(1).length > 0) return "it owes others what they could not be told yet";
  if (state.holds.size + state.leases.size + state.promised.size > 0) return "tasks of it run";
  if (state.journal.seq !== order.expected.seq || state.journal.hash !== order.expected.hash) {
    return "it has moved money since it was compared";
  }
  const told = new Map(order.told.map(({ source, seq }) => [source, seq]));
  for (const [source, seq] of store.earningsSeqs()) {
    if (seq > (told.get(source) ?? 0)) return `it was given something by ${source} meanwhile`;
  }
  return null;
}

/** Runs inside one transaction, behind which memory is read anew. */
function takeOver({ opened: before, store, money, window }: Books, order: RestoreOrder): void {
  const state = createAccountState(before.accountId);
  state.status = before.status;
  state.concurrencyMax = before.concurrencyMax;
  state.journal = order.journal;
  money.clearBalances();
  for (const { asset, bucket, micros } of order.balances) {
    if (asset === "CREDIT" && bucket === "earned") {
      assert(micros > 0n, `${micros} micros are earned`);
      money.saveLots(state, [addEarned(state, micros, window)]);
    } else changeBucket(state, asset, bucket, micros);
  }
  money.saveBuckets(
    state,
    order.balances.filter(({ asset, bucket }) => {
      return asset !== "CREDIT" || (bucket !== "available" && bucket !== "earned");
    }),
  );
  for (const { source, seq } of order.told) store.saveEarningsSeq(source, seq);
  const { nowMs } = window;
  const known = store.resolved.among(order.closed);
  store.resolved.add(order.closed.filter(({ task }) => !known.has(task)));
  for (const mint of order.mints) if (money.mintedMicros(mint.id) === null) money.saveMint(mint);
  for (const { id, fingerprint } of order.moves) {
    if (money.moveOf(id) === null) money.saveMove(id, fingerprint);
  }
  for (const pending of order.pendings) money.savePending(pending);
  const rows = enterJournal(state, marks(state.accountId, order, nowMs));
  store.save(state);
  // The clock in microseconds: nobody has written as many rows as these.
  const seq = Math.max(store.lastOutboxSeq() + 1, nowMs * 1_000);
  store.appendOutboxAs(seq, outboxPayload([], rows, []));
}

/**
 * What tells in the journal that it was restored, and why: a micro of nothing, out of what is
 * available and back again.
 */
function marks(accountId: string, { id, reason }: RestoreOrder, createdMs: number): Transfer[] {
  const [available, held] = [bookOf(accountId, "available"), bookOf(accountId, "held")];
  const mark = { taskId: null, kind: "restored", asset: "CREDIT", micros: 1n, createdMs } as const;
  return [
    { ...mark, id: `restored:${id}:1`, debit: available, credit: held, reason },
    { ...mark, id: `restored:${id}:2`, debit: held, credit: available, reason },
  ];
}
