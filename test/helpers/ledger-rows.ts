import type { Database } from "../../edge/db/database.ts";
import {
  balances,
  creditAsset,
  insertTransfers,
  type NewTransfer,
  type Transfer,
} from "../../edge/db/ledger/ledger.ts";
import { exportTransfers } from "../../edge/db/ledger/ledger-export.ts";
import type { Micros } from "../../shared/money.ts";

/** Stores transfers, each at most once, and nothing else; gives how many were new. */
export async function recordTransfers(db: Database, rows: readonly NewTransfer[]): Promise<number> {
  if (rows.length === 0) return 0;
  const [inserted] = await db.write("record transfers", (orm) => [insertTransfers(orm, rows)]);
  return inserted ?? 0;
}

/** The balance of one ledger account in one asset; 0 where it never moved. */
export async function balanceOf(
  db: Database,
  account: string,
  asset: string = creditAsset,
): Promise<Micros> {
  const all = await balances(db);
  const own = all.find((balance) => balance.account === account && balance.asset === asset);
  return own?.balanceMicros ?? 0n;
}

/** The transfers into and out of one ledger account. */
export async function transfersOf(db: Database, account: string): Promise<readonly Transfer[]> {
  const found: Transfer[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await exportTransfers(db, { limit: 1_000, cursor });
    found.push(...page.items);
    cursor = page.next;
  }
  return found.filter((row) => row.debitAccount === account || row.creditAccount === account);
}
