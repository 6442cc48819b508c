import { type SQL, sql } from "drizzle-orm";
import type { Micros } from "../../../shared/money.ts";
import type { Database } from "../database.ts";
import { entriesOf, rowsUpTo } from "./ledger.ts";
import { bookBalances, ledgerChecks } from "../schema/checks.ts";
import { transfers } from "../schema/ledger.ts";

/** The books of one asset: `sumMicros` is 0 or money was made or lost. */
export interface Conservation {
  readonly asset: string;
  readonly sumMicros: Micros;
  readonly accounts: number;
  readonly transfers: number;
}

/** Behind the last check: one that began anew may reach less far than those before it. */
const notChecked = sql`${transfers}.rowid > coalesce((
  select ${ledgerChecks.through} from ${ledgerChecks}
  order by ${ledgerChecks.number} desc limit 1), 0)`;

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

/** The same by the transfers alone, up to a row of the ledger, whatever was kept. */
export function booksOfTransfers(through: number): SQL {
  return sql`(
    select account as book, asset, sum(micros) as balance, count(*) as entries
    from ${entriesOf(rowsUpTo(through))} group by account, asset
  )`;
}

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
