import type { LedgerRecord } from "../../shared/ledger-record.ts";
import type { Transfer } from "../db/ledger/ledger.ts";

/** A transfer as audits read it (shared/audit.ts). */
export function recordToJson(row: Transfer): LedgerRecord {
  return {
    id: row.id,
    task_id: row.taskId,
    kind: row.kind,
    debit: row.debitAccount,
    credit: row.creditAccount,
    asset: row.asset,
    amount: String(row.amountMicros),
    created_ms: row.createdAt,
    reason: row.reason,
    source: row.source,
    source_seq: row.sourceSeq,
    hash: row.hash,
  };
}
