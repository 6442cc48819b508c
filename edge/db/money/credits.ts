import { and, eq, gt, type SQL, sql } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { assert } from "../../../shared/assert.ts";
import type { Micros } from "../../../shared/money.ts";
import type { Database } from "../database.ts";
import { selectRows } from "../rows.ts";
import { credits } from "../schema/money.ts";

/*
 * C1. In any 24 hours one operator gives, alone, at most the four-eyes limit of an asset, and one
 *     account gets at most that much of it from operators alone.
 * C2. What counts is a row written before the credit is given, by one statement that sums and
 *     inserts: writes of the database come one after the other, so that no two pass together.
 * C3. A row that was written counts, whatever became of its credit: given twice by the same id it
 *     counts once, and not given at all it still counts until its day is over.
 */

export type Credit = typeof credits.$inferSelect;

/** What was given alone in the 24 hours before. */
export interface GivenAlone {
  readonly byOperator: Micros;
  readonly toAccount: Micros;
}

/** How long what one gave alone counts. */
export const aloneMs = 24 * 3_600_000;

/**
 * Writes down credit that one operator is about to give alone (C2). Gives what is stored under its
 * id, now or from before; null where it would be more than the limit.
 */
export async function recordCredit(
  db: Database,
  row: Credit,
  limitMicros: Micros,
): Promise<Credit | null> {
  const { id, amountMicros } = row;
  const room = limitMicros - amountMicros;
  if (room >= 0n) {
    const [written] = await db.write("write the credit down", (orm) => [
      orm
        .insert(credits)
        .select(
          sql`${selectRows(credits, [row])}
            and ${sumOf(credits.operatorId, row.operatorId, row)} <= ${room}
            and ${sumOf(credits.accountId, row.accountId, row)} <= ${room}`,
        )
        .onConflictDoNothing({ target: credits.id }),
    ]);
    if (written === 1) return row;
  }
  const [stored] = await db.read("read the credit", (orm) =>
    orm.select().from(credits).where(eq(credits.id, id)),
  );
  return stored ?? null;
}

/** What counts against the limit of whoever would give this. */
export async function givenAlone(
  db: Database,
  row: Pick<Credit, "operatorId" | "accountId" | "asset" | "createdAt">,
): Promise<GivenAlone> {
  const rows = await db.read("sum up what was given", (orm) =>
    orm.all<GivenAlone>(sql`
      select ${sumOf(credits.operatorId, row.operatorId, row)} as "byOperator",
        ${sumOf(credits.accountId, row.accountId, row)} as "toAccount"`),
  );
  const [given] = rows;
  assert(given !== undefined, "a sum is one row");
  return given;
}

function sumOf(
  whose: SQLiteColumn,
  id: string,
  { asset, createdAt }: Pick<Credit, "asset" | "createdAt">,
): SQL {
  const counts = and(
    eq(whose, id),
    eq(credits.asset, asset),
    gt(credits.createdAt, createdAt - aloneMs),
  );
  return sql`(select coalesce(sum(${credits.amountMicros}), 0) from ${credits} where ${counts})`;
}
