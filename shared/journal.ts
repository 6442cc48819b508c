import { toHex } from "./crypto/bytes.ts";
import { sha256Sync } from "./crypto/sha256-sync.ts";
import type { JournaledTransfer } from "./ledger-record.ts";

/**
 * The journal of an account: every transfer it decided, in order, each under a hash that covers the
 * one before it. Who knows the last hash knows whether any of them was altered, left out or slipped
 * in.
 */

export interface JournalRow extends JournaledTransfer {
  readonly hash: string;
}

/** How far a journal goes: the place and the hash of its last transfer. */
export interface JournalPlace {
  readonly seq: number;
  readonly hash: string;
}

/** Before the first transfer. */
export const emptyJournal: JournalPlace = { seq: 0, hash: "" };

/**
 * SHA-256 in hex over the hash before it (64 hex digits, or nothing for the first) and the
 * canonical JSON (RFC 8785) of the transfer, amounts as decimal text.
 */
export function journalHash(previous: string, transfer: JournaledTransfer): string {
  return toHex(sha256Sync(previous + canonicalTransfer(transfer)));
}

/**
 * The canonical JSON of a transfer. Written out, its members in order: five are hashed a task, and
 * sorting them took as long as the hash.
 */
export function canonicalTransfer(transfer: JournaledTransfer): string {
  const { reason, taskId } = transfer;
  return (
    `{"amount_micros":"${transfer.amountMicros}","asset":${quoted(transfer.asset)},` +
    `"created_at":${transfer.createdAt},"credit_account":${quoted(transfer.creditAccount)},` +
    `"debit_account":${quoted(transfer.debitAccount)},"id":${quoted(transfer.id)},` +
    `"kind":${quoted(transfer.kind)},"reason":${reason === null ? "null" : quoted(reason)},` +
    `"source":${quoted(transfer.source)},"source_seq":${transfer.sourceSeq},` +
    `"task_id":${taskId === null ? "null" : quoted(taskId)}}`
  );
}

/** Ids and names need no escapes, and asking is cheaper than escaping. */
const plainText = /^[\w:. -]*$/;

function quoted(text: string): string {
  return plainText.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** What a journal was found to be. */
export type JournalVerdict =
  | { readonly kind: "whole"; readonly head: JournalPlace }
  /** The first transfer that is not what the hashes say, and in what. */
  | { readonly kind: "broken"; readonly seq: number; readonly id: string; readonly what: string };

/**
 * Recomputes a journal from its rows, which are one account's, in the order of their places, and go
 * on from `head`: from the beginning unless told otherwise. Names the first difference.
 */
export function verifyJournal(
  rows: Iterable<JournalRow>,
  head: JournalPlace = emptyJournal,
): JournalVerdict {
  let { seq, hash } = head;
  let source: string | null = null;
  for (const row of rows) {
    const broken = (what: string): JournalVerdict => ({
      kind: "broken",
      seq: seq + 1,
      id: row.id,
      what,
    });
    source ??= row.source;
    if (row.source !== source) return broken(`it is in the journal of ${row.source}`);
    if (row.sourceSeq !== seq + 1) return broken(`its place is ${row.sourceSeq}, not ${seq + 1}`);
    const expected = journalHash(hash, row);
    if (row.hash !== expected) return broken(`its hash is ${row.hash}, and should be ${expected}`);
    seq = row.sourceSeq;
    hash = row.hash;
  }
  return { kind: "whole", head: { seq, hash } };
}
