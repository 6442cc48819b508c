import type { Books } from "../books.ts";
import type { DebtStore } from "./debt-store.ts";
import { readPayload } from "./outbox-payload.ts";

/** How far an account has told another one, in both of its counts. */
export interface Told {
  /** The last row of its outbox that the other took, if that gave it anything. */
  readonly seq: number;
  /** The last transfer of its journal that is told by that row or one before it. */
  readonly place: number;
  /** The last transfer of its journal of all. */
  readonly head: number;
  /** Whether it has yet to tell the other what it owes it. */
  readonly isOwing: boolean;
}

/**
 * How far an account has told `accountId`: rows that have left its outbox are in the ledger, and
 * were taken unless they are owed (O1); those that are in it may have been told to both or neither.
 */
export function toldTo(books: Books, debts: DebtStore, accountId: string): Told {
  const { state, store } = books;
  const head = state?.journal.seq ?? 0;
  const isOwing = debts.find(accountId) !== null;
  const [first] = store.readOutbox(1);
  if (first === undefined) return { seq: store.lastOutboxSeq(), place: head, head, isOwing };
  const next = store.firstInOutbox((payload) => {
    return readPayload(payload).settlements.transfers[0]?.sourceSeq;
  });
  return { seq: first.seq - 1, place: next === null ? head : next - 1, head, isOwing };
}
