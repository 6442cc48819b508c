import { expect, onTestFinished, test, vi } from "vitest";
import { auditLedger } from "../../edge/audit-ledger.ts";
import { listChecks } from "../../edge/db/ledger/ledger-checks.ts";
import { recordTransfers } from "../helpers/ledger-rows.ts";
import { sampleTransfer } from "./db/samples.ts";
import { makeNativeDatabase } from "./db/worlds.ts";

/** What the edge logs from now on. */
function logged(): () => Record<string, unknown>[] {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  onTestFinished(() => log.mockRestore());
  return () => log.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>);
}

test("a ledger that adds up is checked, and nothing is said of it", async () => {
  await using db = await makeNativeDatabase();
  const lines = logged();
  const minted = { debitAccount: "system:mint", creditAccount: "acct_alice:available" };
  await recordTransfers(db, [sampleTransfer({ kind: "mint", ...minted })]);
  await auditLedger(db, 100_000_000);
  await auditLedger(db, 100_000_001);
  expect((await listChecks(db, { limit: 9 })).items).toMatchObject([
    { number: 2, through: 1, isWhole: false, faults: [] },
    { number: 1, through: 1, isWhole: true, faults: [] },
  ]);
  expect(lines()).toEqual([]);
});

test("a ledger that does not add up is an error in the log, every time until it does", async () => {
  await using db = await makeNativeDatabase();
  const lines = logged();
  await recordTransfers(db, [sampleTransfer({ kind: "gift", debitAccount: "acct_bob:earned" })]);
  await auditLedger(db, 1);
  await auditLedger(db, 2);
  const fault = "acct_bob:earned has -4000 micros of CREDIT, and may not have less than 0";
  const line = { level: "error", message: "the ledger does not add up", fault };
  expect(lines()).toEqual([line, line]);
});

test("a check that cannot be done is an error in the log, and no more", async () => {
  await using db = await makeNativeDatabase();
  const lines = logged();
  await db.migrate("lose a table", ["drop table ledger_checks"]);
  await auditLedger(db, 1);
  expect(lines()).toMatchObject([{ level: "error", message: "the ledger was not checked" }]);
});
