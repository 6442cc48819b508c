import { and, eq, sql } from "drizzle-orm";
import { unionAll } from "drizzle-orm/sqlite-core";
import { assert } from "../../shared/assert.ts";
import type { Micros } from "../../shared/money.ts";
import type { Database, Orm, Statement } from "./database.ts";
import { beforeInTime, newestFirst } from "./order.ts";
import type { Page, PageRequest } from "./page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "./page.ts";
import { selectRows } from "./rows.ts";
import { transfers } from "./schema-ledger.ts";

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

/** The books of one asset: `sumMicros` is 0 or money was made or lost. */
export interface Conservation {
  readonly asset: string;
  readonly sumMicros: Micros;
  readonly accounts: number;
  readonly transfers: number;
}

/** Inserts transfers, each at most once (L2); gives how many were new. */
export async function recordTransfers(db: Database, rows: readonly NewTransfer[]): Promise<number> {
  if (rows.length === 0) return 0;
  const [inserted] = await db.write("record transfers", (orm) => [insertTransfers(orm, rows)]);
  return inserted ?? 0;
}

/** One statement for any number of transfers. */
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

/** Both sides of every transfer, as one signed row each. */
const entries = sql`(
  select ${transfers.creditAccount} as account, ${transfers.asset} as asset,
    ${transfers.amountMicros} as micros from ${transfers}
  union all
  select ${transfers.debitAccount}, ${transfers.asset}, -${transfers.amountMicros} from ${transfers}
)`;

/** The balance of every ledger account in every asset it ever held. */
export async function balances(db: Database): Promise<readonly Balance[]> {
  return db.read("read the balances", (orm) =>
    orm.all<Balance>(sql`
      select account, asset, sum(micros) as "balanceMicros" from ${entries}
      group by account, asset order by account, asset`),
  );
}

/** The balance of one ledger account in one asset; 0 where it never moved. */
export async function balanceOf(
  db: Database,
  account: string,
  asset: string = creditAsset,
): Promise<Micros> {
  const rows = await db.read("read the balance", (orm) =>
    orm.all<{ balanceMicros: bigint }>(sql`
      select
        (select coalesce(sum(${transfers.amountMicros}), 0) from ${transfers}
          where ${transfers.creditAccount} = ${account} and ${transfers.asset} = ${asset})
        - (select coalesce(sum(${transfers.amountMicros}), 0) from ${transfers}
          where ${transfers.debitAccount} = ${account} and ${transfers.asset} = ${asset})
        as "balanceMicros"`),
  );
  return rows[0]?.balanceMicros ?? 0n;
}

/** The books of every asset, each balance summed by account first, as an auditor would. */
export async function conservation(db: Database): Promise<readonly Conservation[]> {
  const rows = await db.read("audit the ledger", (orm) =>
    orm.all<{ asset: string; sumMicros: bigint; accounts: bigint; entries: bigint }>(sql`
      select asset, sum(balance) as "sumMicros", count(*) as accounts, sum(entries) as entries
      from (
        select account, asset, sum(micros) as balance, count(*) as entries from ${entries}
        group by account, asset
      ) group by asset order by asset`),
  );
  return rows.map((row) => ({
    asset: row.asset,
    sumMicros: row.sumMicros,
    accounts: Number(row.accounts),
    transfers: Number(row.entries) / 2,
  }));
}

/** The transfers into and out of one ledger account, newest first. */
export async function listTransfers(
  db: Database,
  query: PageRequest & { readonly account: string },
): Promise<Page<Transfer>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: transfers.createdAt, id: transfers.id };
  const rows = await db.read("list the transfers", (orm) => {
    const side = (account: typeof transfers.creditAccount | typeof transfers.debitAccount) =>
      orm
        .select()
        .from(transfers)
        .where(and(eq(account, query.account), beforeInTime(order, after)));
    // No transfer has one account on both sides (L1). SQLite merges the two indexes; an `or` would
    // sort them whole.
    return unionAll(side(transfers.creditAccount), side(transfers.debitAccount))
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1);
  });
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}
