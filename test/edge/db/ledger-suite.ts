import * as fc from "fast-check";
import { expect, test } from "vitest";
import { exportTransfers, listOwnTransfers } from "../../../edge/db/ledger/ledger-export.ts";
import { conservation } from "../../../edge/db/ledger/current-books.ts";
import { balances } from "../../../edge/db/ledger/ledger.ts";
import { balanceOf, recordTransfers } from "../../helpers/ledger-rows.ts";
import { allPages } from "./all-pages.ts";
import { sampleTransfer } from "./samples.ts";
import type { MakeDatabase } from "./worlds.ts";

export function describeLedger(makeDatabase: MakeDatabase): void {
  describeBalances(makeDatabase);
  describeConservation(makeDatabase);
  describeTransferLists(makeDatabase);
}

const moveArbitrary = fc
  .record({
    id: fc.integer({ min: 0, max: 30 }),
    debit: fc.integer({ min: 0, max: 4 }),
    credit: fc.integer({ min: 0, max: 4 }),
    amountMicros: fc.bigInt({ min: 1n, max: 2n ** 53n }),
    asset: fc.constantFrom("CREDIT", "OCTO"),
  })
  .filter((move) => move.debit !== move.credit);

function describeBalances(makeDatabase: MakeDatabase): void {
  test("an empty ledger balances", async () => {
    await using db = await makeDatabase();
    expect(await balances(db)).toEqual([]);
    expect(await conservation(db)).toEqual([]);
  });

  test("amounts no float can hold are kept to the micro", async () => {
    await using db = await makeDatabase();
    const amountMicros = 2n ** 53n + 1n;
    const account = "acct_paul:earned";
    await recordTransfers(db, [sampleTransfer({ amountMicros })]);
    expect(await balanceOf(db, account)).toBe(amountMicros);
    expect(
      (await listOwnTransfers(db, { accountId: "acct_paul", limit: 1 })).items[0]?.amountMicros,
    ).toBe(amountMicros);
    expect(await balanceOf(db, "acct_alice:available")).toBe(-amountMicros);
    expect(await balanceOf(db, "acct_alice:available", "OCTO")).toBe(0n);
  });

  test("a transfer of nothing, or to its own account, is a bug and stores nothing", async () => {
    await using db = await makeDatabase();
    const good = sampleTransfer();
    for (const bad of [
      sampleTransfer({ id: "zero", amountMicros: 0n }),
      sampleTransfer({ id: "negative", amountMicros: -5n }),
      sampleTransfer({ id: "circular", creditAccount: "acct_alice:available" }),
    ]) {
      await expect(recordTransfers(db, [good, bad])).rejects.toThrow("Believed:");
    }
    expect(await balances(db)).toEqual([]);
  });
}

function describeConservation(makeDatabase: MakeDatabase): void {
  test("whatever moves, and however often it is sent, every asset sums to zero", async () => {
    await using db = await makeDatabase();
    const model = new Map<string, { from: string; to: string; asset: string; micros: bigint }>();
    await fc.assert(
      fc.asyncProperty(fc.array(moveArbitrary, { maxLength: 12 }), async (moves) => {
        const rows = moves.map(({ id, debit, credit, amountMicros, asset }) =>
          sampleTransfer({
            id: `move-${id}`,
            debitAccount: `account-${debit}`,
            creditAccount: `account-${credit}`,
            amountMicros,
            asset,
          }),
        );
        for (const row of rows) {
          const { id, debitAccount: from, creditAccount: to, asset = "CREDIT" } = row;
          if (!model.has(id)) model.set(id, { from, to, asset, micros: row.amountMicros });
        }
        await recordTransfers(db, rows);
        const books = await conservation(db);
        expect(books.every((book) => book.sumMicros === 0n)).toBe(true);
        expect(books.reduce((count, book) => count + book.transfers, 0)).toBe(model.size);
      }),
      { numRuns: 20 },
    );
    const expected = new Map<string, bigint>();
    for (const { from, to, asset, micros } of model.values()) {
      expected.set(`${from} ${asset}`, (expected.get(`${from} ${asset}`) ?? 0n) - micros);
      expected.set(`${to} ${asset}`, (expected.get(`${to} ${asset}`) ?? 0n) + micros);
    }
    const stored = (await balances(db)).map(
      (balance) => [`${balance.account} ${balance.asset}`, balance.balanceMicros] as const,
    );
    expect(new Map(stored)).toEqual(expected);
  });
}

function describeTransferLists(makeDatabase: MakeDatabase): void {
  test("an account's transfers, in and out, are paged newest first", async () => {
    await using db = await makeDatabase();
    const account = "acct_alice:available";
    const rows = Array.from({ length: 9 }, (_, i) =>
      sampleTransfer({
        id: `t${i}`,
        createdAt: 50 + Math.floor(i / 4),
        ...(i % 2 === 0
          ? {}
          : { debitAccount: "system:mint", creditAccount: account, taskId: null, kind: "mint" }),
      }),
    );
    const foreign = sampleTransfer({ id: "foreign", debitAccount: "acct_bob:available" });
    expect(await recordTransfers(db, [...rows, foreign])).toBe(10);
    // What moves between the account's own books is listed once.
    const release = sampleTransfer({
      id: "t9",
      createdAt: 99,
      debitAccount: "acct_alice:earned",
      creditAccount: account,
    });
    await recordTransfers(db, [release]);
    const listed = await allPages((cursor) =>
      listOwnTransfers(db, { accountId: "acct_alice", cursor, limit: 2 }),
    );
    const defaults = { asset: "CREDIT", source: "", sourceSeq: 0, hash: "", reason: null };
    expect(listed).toEqual([release, ...rows.toReversed()].map((row) => ({ ...row, ...defaults })));
  });

  test("an export gives every transfer once, journal by journal, as of its first page", async () => {
    await using db = await makeDatabase();
    const places = [
      ["acct_b", 2],
      ["", 0],
      ["acct_a", 1],
      ["acct_b", 1],
      ["", 0],
      ["acct_a", 2],
      ["acct_a", 3],
    ] as const;
    const rows = places.map(([source, sourceSeq], i) =>
      sampleTransfer({ id: `t${i}`, source, sourceSeq, hash: source === "" ? "" : `h${i}` }),
    );
    await recordTransfers(db, rows);
    for (const limit of [1, 2, 3, 7, 20]) {
      const listed = await allPages(
        (cursor) => exportTransfers(db, { cursor, limit }),
        async (page) => {
          const late = {
            id: `late-${limit}-${page}`,
            source: "acct_a",
            sourceSeq: limit * 50 + page,
          };
          await recordTransfers(db, [sampleTransfer(late)]);
        },
      );
      const early = listed.filter(({ id }) => !id.startsWith("late"));
      expect(early.map(({ id }) => id)).toEqual(["t1", "t4", "t2", "t5", "t6", "t3", "t0"]);
      expect(listed.filter(({ id }) => id.startsWith(`late-${limit}-`))).toEqual([]);
    }
    const { items } = await exportTransfers(db, { limit: 20, through: 2 });
    expect(items.map(({ id }) => id)).toEqual(["t1", "t0"]);
  });
}
