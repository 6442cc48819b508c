import { type SQL, sql } from "drizzle-orm";
import { assert } from "../../../shared/assert.ts";
import type { Micros } from "../../../shared/money.ts";
import type { Database, Orm, Statement } from "../database.ts";
import { selectRows } from "../rows.ts";
import { transfers } from "../schema/ledger.ts";

/*
 * L1. Every transfer debits one ledger account and credits another by the same amount: all balances
 *     sum to zero.
 * L2. A transfer is applied once: its id derives from what caused it, and a second insert changes
 *     nothing.
 */

/** The asset of the built-in credit. */
export const creditAsset = "CREDIT";

export type Transfer = typeof transfers.$inferSelect;
/** A transfer to store; without an asset it moves credits. */
export type NewTransfer = typeof transfers.$inferInsert;

/**
 * What a ledger account (`acct_…:available`, `system:treasury`) has received less what it has
 * given.
 */
export interface Balance {
  readonly account: string;
  readonly asset: string;
  readonly balanceMicros: Micros;
}

/** Inserts any number of transfers, each at most once (L2), in one statement. */
export function insertTransfers(orm: Orm, rows: readonly NewTransfer[]): Statement {
  for (const row of rows) {
    // A row the schema refuses would fail its whole batch, now and at every later try.
    assert(row.amountMicros > 0n, `transfer ${row.id} moves more than 0, not ${row.amountMicros}`);
    assert(row.debitAccount !== row.creditAccount, `transfer ${row.id} has two accounts`);
  }
  return orm
    .insert(transfers)
    .select(selectRows(transfers, rows))
    .onConflictDoNothing({ target: transfers.id });
}

/** Both sides of the transfers of a condition, as one signed row each: `account, asset, micros`. */
export function entriesOf(condition: SQL | undefined): SQL {
  return sql`(
    select ${transfers.creditAccount} as account, ${transfers.asset} as asset,
      ${transfers.amountMicros} as micros from ${transfers} where ${condition ?? sql`true`}
    union all
    select ${transfers.debitAccount}, ${transfers.asset}, -${transfers.amountMicros}
    from ${transfers} where ${condition ?? sql`true`}
  )`;
}

/**
 * The balance of every ledger account in every asset it ever held, by all of its transfers, or by
 * those up to a row of the ledger.
 */
export async function balances(db: Database, through?: number): Promise<readonly Balance[]> {
  const upTo = through === undefined ? undefined : rowsUpTo(through);
  return db.read("read the balances", (orm) =>
    orm.all<Balance>(sql`
      select account, asset, sum(micros) as "balanceMicros" from ${entriesOf(upTo)}
      group by account, asset order by account, asset`),
  );
}

/**
 * The number of the last row of the ledger, 0 without any. Rows are only ever added, so that what
 * is read up to one row is of one moment, however long the reading takes.
 */
export async function lastRow(db: Database): Promise<number> {
  const rows = await db.read("find the end of the ledger", (orm) =>
    orm.all<{ last: bigint | null }>(sql`select max(rowid) as "last" from ${transfers}`),
  );
  return Number(rows[0]?.last ?? 0n);
}

/** Transfers up to a row of the ledger, that one included. */
export function rowsUpTo(row: number): SQL {
  return sql`${transfers}.rowid <= ${BigInt(row)}`;
}

/** Transfers behind a row of the ledger. */
export function rowsAfter(row: number): SQL {
  return sql`${transfers}.rowid > ${BigInt(row)}`;
}
