import { type JournalRow, journalHash } from "../../../shared/journal.ts";
import type { AccountState, Transfer } from "../account-state.ts";

/** Gives transfers their places in the account's journal (A5). */
export function enterJournal(
  state: AccountState,
  transfers: readonly Transfer[],
): readonly JournalRow[] {
  return transfers.map((transfer) => {
    const entered = {
      id: transfer.id,
      taskId: transfer.taskId,
      kind: transfer.kind,
      debitAccount: transfer.debit,
      creditAccount: transfer.credit,
      asset: transfer.asset,
      amountMicros: transfer.micros,
      createdAt: transfer.createdMs,
      reason: transfer.reason,
      source: state.accountId,
      sourceSeq: state.journal.seq + 1,
      hash: "",
    };
    entered.hash = journalHash(state.journal.hash, entered);
    state.journal = { seq: entered.sourceSeq, hash: entered.hash };
    return entered;
  });
}
