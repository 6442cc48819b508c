import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../shared/crypto/jcs.ts";
import { sha256Hex } from "../../shared/crypto/bytes.ts";
import {
  canonicalTransfer,
  emptyJournal,
  journalHash,
  type JournalRow,
  verifyJournal,
} from "../../shared/journal.ts";
import type { JournaledTransfer } from "../../shared/ledger-record.ts";

const accountId = "acct_2Z3Y4X5W6V7U8T9S0R1Q2P";

function transferAt(seq: number, changes: Partial<JournaledTransfer> = {}): JournaledTransfer {
  return {
    id: `tsk_${seq}:provider`,
    taskId: `tsk_${seq}`,
    kind: "task",
    debitAccount: `${accountId}:available`,
    creditAccount: "acct_other:earned",
    asset: "CREDIT",
    amountMicros: BigInt(seq) * 7n,
    createdAt: 1_791_234_567_890 + seq,
    reason: null,
    source: accountId,
    sourceSeq: seq,
    ...changes,
  };
}

function journalOf(length: number): JournalRow[] {
  let previous = "";
  return Array.from({ length }, (_, at) => {
    const transfer = transferAt(at + 1);
    previous = journalHash(previous, transfer);
    return { ...transfer, hash: previous };
  });
}

test("a transfer is hashed as canonical JSON, whatever is in its texts", () => {
  const texts = fc.string({ unit: "grapheme" });
  const record = fc.record({ id: texts, reason: fc.option(texts), taskId: fc.option(texts) });
  fc.assert(
    fc.property(record, fc.bigInt({ min: 1n, max: 2n ** 60n }), (changes, amountMicros) => {
      const transfer = transferAt(3, { ...changes, amountMicros });
      expect(canonicalTransfer(transfer)).toBe(
        canonicalJson({
          amount_micros: amountMicros.toString(),
          asset: transfer.asset,
          created_at: transfer.createdAt,
          credit_account: transfer.creditAccount,
          debit_account: transfer.debitAccount,
          id: transfer.id,
          kind: transfer.kind,
          reason: transfer.reason,
          source: transfer.source,
          source_seq: transfer.sourceSeq,
          task_id: transfer.taskId,
        }),
      );
    }),
  );
});

test("a hash covers the hash before it and the transfer", async () => {
  const [first, second] = journalOf(2);
  expect(first?.hash).toBe(await sha256Hex(canonicalTransfer(transferAt(1))));
  expect(second?.hash).toBe(await sha256Hex(`${first?.hash}${canonicalTransfer(transferAt(2))}`));
});

describe("a journal", () => {
  test("of nothing is whole and ends where it begins", () => {
    expect(verifyJournal([])).toEqual({ kind: "whole", head: emptyJournal });
  });

  test("is whole from its beginning, and from any place whose hash is known", () => {
    const rows = journalOf(9);
    const head = { seq: 9, hash: rows[8]?.hash };
    expect(verifyJournal(rows)).toEqual({ kind: "whole", head });
    const middle = { seq: 4, hash: rows[3]?.hash ?? "" };
    expect(verifyJournal(rows.slice(4), middle)).toEqual({ kind: "whole", head });
  });

  const changes: readonly (readonly [keyof JournaledTransfer, unknown])[] = [
    ["id", "tsk_9:burn"],
    ["taskId", null],
    ["kind", "mint"],
    ["debitAccount", "system:mint"],
    ["creditAccount", "acct_thief:earned"],
    ["asset", "OCTO"],
    ["amountMicros", 5_000n],
    ["createdAt", 1],
    ["reason", "a gift"],
  ];
  test.each(changes)("names the first transfer whose %s was altered", (field, value) => {
    const rows = journalOf(6).map((row) =>
      row.sourceSeq === 3 || row.sourceSeq === 5 ? { ...row, [field]: value } : row,
    );
    const verdict = verifyJournal(rows);
    expect(verdict).toMatchObject({ kind: "broken", seq: 3, id: rows[2]?.id });
    expect(verdict).toHaveProperty("what", expect.stringMatching(/^its hash is .* should be/));
  });

  test("is broken where a transfer is left out, slipped in, repeated or out of order", () => {
    const rows = journalOf(5);
    const [one, two, three, four, five] = rows as [JournalRow, ...JournalRow[]];
    const seqOf = (list: readonly (JournalRow | undefined)[]) => {
      const verdict = verifyJournal(list.filter((row) => row !== undefined));
      return verdict.kind === "broken" ? verdict.seq : "whole";
    };
    expect(seqOf([one, two, four, five])).toBe(3);
    expect(seqOf([two, three])).toBe(1);
    expect(seqOf([one, one, two])).toBe(2);
    expect(seqOf([one, three, two])).toBe(2);
    expect(seqOf([one, two, three, { ...transferAt(4), hash: "00" }])).toBe(4);
    expect(seqOf(rows)).toBe("whole");
  });

  test("is of one account", () => {
    const rows = journalOf(3).map((row) =>
      row.sourceSeq === 2 ? { ...row, source: "acct_other" } : row,
    );
    expect(verifyJournal(rows)).toMatchObject({
      kind: "broken",
      seq: 2,
      what: "it is in the journal of acct_other",
    });
  });
});
