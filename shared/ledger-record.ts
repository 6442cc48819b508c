import { z } from "zod";
import type { Micros } from "./money.ts";

/** Amounts beyond 2^53 exist in a ledger, and an audit has to see also those that are wrong. */
const amountText = z
  .string()
  .regex(/^-?\d{1,19}$/, "not an amount in micros")
  .meta({ description: "Micros, as decimal text" });

/** One transfer as the ledger is handed out for an audit, with every field it has. */
export const ledgerRecordSchema = z.object({
  id: z.string(),
  task_id: z.string().nullable(),
  kind: z.string(),
  debit: z.string().meta({ description: "The ledger account that gives" }),
  credit: z.string().meta({ description: "The ledger account that receives" }),
  asset: z.string(),
  amount: amountText,
  created_ms: z.int(),
  reason: z.string().nullable(),
  source: z.string().meta({
    description: "The account whose journal it is in; empty before there were journals",
  }),
  source_seq: z.int().meta({ description: "Its place in that journal, from 1" }),
  hash: z.string().meta({
    description: "SHA-256 over the hash before it in the journal and this transfer, in hex",
  }),
});
export type LedgerRecord = z.infer<typeof ledgerRecordSchema>;

/** A record as the hash of its journal covers it. */
export interface JournaledTransfer {
  readonly id: string;
  readonly taskId: string | null;
  readonly kind: string;
  readonly debitAccount: string;
  readonly creditAccount: string;
  readonly asset: string;
  readonly amountMicros: Micros;
  readonly createdAt: number;
  readonly reason: string | null;
  readonly source: string;
  readonly sourceSeq: number;
}

export function journaledTransfer(record: LedgerRecord): JournaledTransfer {
  return {
    id: record.id,
    taskId: record.task_id,
    kind: record.kind,
    debitAccount: record.debit,
    creditAccount: record.credit,
    asset: record.asset,
    amountMicros: BigInt(record.amount),
    createdAt: record.created_ms,
    reason: record.reason,
    source: record.source,
    sourceSeq: record.source_seq,
  };
}

/** What a ledger account has of an asset, as somebody says. */
export const ledgerBalanceSchema = z.object({
  book: z.string().meta({ description: "`acct_…:available`, `system:treasury`" }),
  asset: z.string(),
  balance: amountText,
});
export type LedgerBalance = z.infer<typeof ledgerBalanceSchema>;

/** How far a journal goes: the place and the hash of its last transfer. */
export const journalHeadSchema = z.object({ source: z.string(), seq: z.int(), hash: z.string() });
export type JournalHead = z.infer<typeof journalHeadSchema>;
