import { sql } from "drizzle-orm";
import type { Micros } from "../../../shared/money.ts";
import type { Database } from "../database.ts";
import { entriesOf } from "./ledger.ts";
import { bookBalances, ledgerChecks } from "../schema/checks.ts";
import { transfers } from "../schema/ledger.ts";

/** The books of one asset: `sumMicros` is 0 or money was made or lost. */
export interface Conservation {
  readonly asset: string;
  readonly sumMicros: Micros;
  readonly accounts: number;
  readonly transfers: number;
}

const notChecked = sql`${transfers}.rowid >
  (select coalesce(max(${ledgerChecks.through}), 0) from ${ledgerChecks})`;

/**
 * Every ledger account's balance as it is now, as `book, asset, balance, entries`: what the last
 * check kept, and the transfers since. As exact as summing everything, at the cost of what is new.
 */
export const currentBooks = sql`(
  select book, asset, sum(balance) as balance, sum(entries) as entries from (
    select ${bookBalances.book} as book, ${bookBalances.asset} as asset,
      ${bookBalances.balanceMicros} as balance, ${bookBalances.entries} as entries
    from ${bookBalances}
    union all
    select account, asset, micros, 1 from ${entriesOf(notChecked)}
  ) group by book, asset
)`;

/** The books of every asset, each balance summed by account first, as an auditor would. */
export async function conservation(db: Database): Promise<readonly Conservation[]> {
  const rows = await db.read("audit the ledger", (orm) =>
    orm.all<{ asset: string; sumMicros: bigint; accounts: bigint; entries: bigint }>(sql`
      select asset, sum(balance) as "sumMicros", count(*) as "accounts",
        sum(entries) as "entries"
      from ${currentBooks} group by asset order by asset`),
  );
  return rows.map((row) => ({
    asset: row.asset,
    sumMicros: row.sumMicros,
    accounts: Number(row.accounts),
    transfers: Number(row.entries) / 2,
  }));
}
