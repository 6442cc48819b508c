import { sql } from "drizzle-orm";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { conservation } from "../../../edge/db/ledger/current-books.ts";
import type { Database } from "../../../edge/db/database.ts";
import { checkLedger, ledgerStanding, listChecks } from "../../../edge/db/ledger/ledger-checks.ts";
import { balances } from "../../../edge/db/ledger/ledger.ts";
import { recordTransfers } from "../../helpers/ledger-rows.ts";
import { recordSettlements } from "../../../edge/db/ledger/tasks.ts";
import { allPages } from "./all-pages.ts";
import { sampleTransfer } from "./samples.ts";
import { settledTask } from "./settled.ts";
import type { MakeDatabase } from "./worlds.ts";

const day = 24 * 3_600_000;
const parts = [{ workerId: "w", providerAccountId: "acct_paul", tokens: 100 }];
const own = "acct_alice:available";

function minted(id: string, change: Partial<Parameters<typeof sampleTransfer>[0]> = {}) {
  const between = { debitAccount: "system:mint", creditAccount: own };
  return sampleTransfer({
    id,
    taskId: null,
    kind: "mint",
    amountMicros: 500n,
    ...between,
    ...change,
  });
}

async function settle(db: Database, id: string): Promise<void> {
  await recordSettlements(db, settledTask(id, parts, { nowMs: day, account: "acct_alice" }));
}

export function describeChecks(makeDatabase: MakeDatabase): void {
  describeSoundChecks(makeDatabase);
  describeFaults(makeDatabase);
}

function describeSoundChecks(makeDatabase: MakeDatabase): void {
  test("a ledger that adds up has no faults, whole or since the last check", async () => {
    await using db = await makeDatabase();
    expect(await checkLedger(db, day)).toMatchObject({ number: 1, through: 0, isWhole: true });
    await recordTransfers(db, [minted("m1")]);
    await settle(db, "tsk_a");
    const since = await checkLedger(db, day + 1);
    expect(since).toEqual({
      number: 2,
      through: 6,
      isWhole: false,
      faults: [],
      createdAt: day + 1,
    });
    await settle(db, "tsk_b");
    expect(await checkLedger(db, 3 * day)).toMatchObject({
      through: 11,
      isWhole: true,
      faults: [],
    });
    expect(await ledgerStanding(db)).toEqual({ checkedMs: 3 * day, faults: [] });
    const listed = await allPages((cursor) => listChecks(db, { cursor, limit: 2 }));
    expect(listed.map(({ number }) => number)).toEqual([3, 2, 1]);
  });

  test("what is kept and what is new together are every balance, whenever it was checked", async () => {
    await using db = await makeDatabase();
    const stepArbitrary = fc.record({
      debit: fc.integer({ min: 0, max: 3 }),
      credit: fc.integer({ min: 4, max: 6 }),
      amountMicros: fc.bigInt({ min: 1n, max: 2n ** 40n }),
      asset: fc.constantFrom("CREDIT", "OCTO"),
      isChecked: fc.boolean(),
    });
    const steps = fc.sample(stepArbitrary, { numRuns: 30, seed: 3 });
    for (const [i, { debit, credit, amountMicros, asset, isChecked }] of steps.entries()) {
      const between = { debitAccount: `book-${debit}`, creditAccount: `book-${credit}` };
      await recordTransfers(db, [minted(`m${i}`, { ...between, amountMicros, asset })]);
      if (isChecked) await checkLedger(db, day, { transfersMax: 2 });
    }
    const all = await balances(db);
    const books = await conservation(db);
    expect(books.map(({ sumMicros }) => sumMicros)).toEqual([0n, 0n]);
    expect(books.reduce((sum, { transfers }) => sum + transfers, 0)).toBe(steps.length);
    expect(books.reduce((sum, { accounts }) => sum + accounts, 0)).toBe(all.length);
    await checkLedger(db, day);
    const whole = await checkLedger(db, day, { isWhole: true });
    expect(whole.isWhole).toBe(true);
    expect(whole.faults.filter((fault) => !fault.endsWith("less than 0"))).toEqual([]);
  });

  test("of checks at once each transfer is counted by one", async () => {
    await using db = await makeDatabase();
    await recordTransfers(db, [minted("m1")]);
    const checks = await Promise.allSettled(Array.from({ length: 4 }, () => checkLedger(db, day)));
    expect(checks.filter(({ status }) => status === "fulfilled").length).toBeGreaterThan(0);
    for (const check of checks) {
      if (check.status === "rejected") expect(check.reason).toMatchObject({ code: "conflict" });
    }
    expect(await checkLedger(db, 3 * day)).toMatchObject({ isWhole: true, faults: [] });
    expect(await conservation(db)).toMatchObject([{ transfers: 1, sumMicros: 0n }]);
  });
}

function describeFaults(makeDatabase: MakeDatabase): void {
  test.each([
    [
      "a book below zero",
      () => [minted("x", { debitAccount: "acct_bob:earned" })],
      "acct_bob:earned has -500 micros of CREDIT, and may not have less than 0",
    ],
    [
      "an asset that is none",
      () => [minted("x", { asset: "GOLD" })],
      "The ledger has GOLD, which is no asset of it",
    ],
    [
      "a gap within a journal",
      () => [1, 3].map((sourceSeq) => minted(`x${sourceSeq}`, { source: "acct_bob", sourceSeq })),
      "The journal of acct_bob misses a transfer: it has 2 transfers from 1 to 3, and should " +
        "have each of them",
    ],
    [
      "a journal without its beginning",
      () => [minted("x", { source: "acct_bob", sourceSeq: 2 })],
      "The journal of acct_bob misses a transfer: it has 1 transfers from 2 to 2, and should " +
        "have each of them",
    ],
    [
      "a task nobody knows",
      () => [minted("x", { taskId: "tsk_x", kind: "task" })],
      "Transfers of task tsk_x move 500 micros, and there is no task",
    ],
    [
      "a task that was paid twice",
      () => [minted("x", { taskId: "tsk_a", kind: "task", amountMicros: 7n })],
      "Task tsk_a cost 100 micros, and its transfers move 107",
    ],
  ])("%s is found by the next check, and stays until it is gone", async (_, spoil, sentence) => {
    await using db = await makeDatabase();
    await recordTransfers(db, [minted("m1")]);
    await settle(db, "tsk_a");
    await checkLedger(db, day);
    await recordTransfers(db, spoil());
    expect((await checkLedger(db, day + 1)).faults).toEqual([sentence]);
    await settle(db, "tsk_b");
    await checkLedger(db, day + 2);
    expect((await ledgerStanding(db)).faults).toEqual([sentence]);
    expect((await checkLedger(db, day + 3, { isWhole: true })).faults).toEqual([sentence]);
  });

  test("what an account may spend can be below zero, and is no fault", async () => {
    await using db = await makeDatabase();
    await settle(db, "tsk_a");
    expect(await checkLedger(db, day, { isWhole: true })).toMatchObject({ faults: [] });
  });

  test("a gap that a later transfer fills is a fault no more", async () => {
    await using db = await makeDatabase();
    const row = (sourceSeq: number) => minted(`x${sourceSeq}`, { source: "acct_bob", sourceSeq });
    await recordTransfers(db, [row(2)]);
    await checkLedger(db, day);
    expect((await ledgerStanding(db)).faults).toHaveLength(1);
    await recordTransfers(db, [row(1)]);
    await checkLedger(db, 3 * day);
    expect((await ledgerStanding(db)).faults).toEqual([]);
  });

  test("a transfer that was changed or lost after its check is found by a check of the whole", async () => {
    await using db = await makeDatabase();
    await recordTransfers(db, [minted("m1"), minted("m2"), minted("m3")]);
    await checkLedger(db, day);
    await db.migrate("change a transfer", [
      "update transfers set amount_micros = 501 where id = 'm1'",
    ]);
    expect((await checkLedger(db, day + 1)).faults).toEqual([]);
    expect((await checkLedger(db, 3 * day)).faults).toEqual([
      `${own} had 1500 micros of CREDIT when its transfers were checked, and the same transfers ` +
        "now say 1501",
      "system:mint had -1500 micros of CREDIT when its transfers were checked, and the same " +
        "transfers now say -1501",
    ]);
    await db.migrate("lose a transfer", ["delete from transfers where id = 'm2'"]);
    const { faults } = await checkLedger(db, 5 * day);
    expect(faults[0]).toBe("1 transfers are gone that were checked before");
    const rows = await db.read("count", (orm) => orm.all(sql`select * from transfers`));
    expect(rows).toHaveLength(2);
  });

  test("a ledger that lost its end is checked, and has no fault once that is there again", async () => {
    await using db = await makeDatabase();
    const rows = [minted("m1"), minted("m2")];
    await recordTransfers(db, rows);
    await checkLedger(db, day);
    await db.migrate("lose the last transfer", ["delete from transfers where id = 'm2'"]);
    const lost = await checkLedger(db, day + 1, { isWhole: true });
    expect(lost).toMatchObject({ isWhole: true, through: 2 });
    expect(lost.faults[0]).toBe("1 transfers are gone that were checked before");
    await recordTransfers(db, rows.slice(1));
    expect((await checkLedger(db, day + 2, { isWhole: true })).faults).toEqual([]);
    expect(await conservation(db)).toMatchObject([{ transfers: 2, sumMicros: 0n }]);
  });
}
