import { and, asc, eq, getTableColumns, ne, type SQL, sql } from "drizzle-orm";
import { unionAll } from "drizzle-orm/sqlite-core";
import { z } from "zod";
import { assert } from "../../../shared/assert.ts";
import { bookOf, buckets } from "../../../shared/assets.ts";
import { isOwn } from "./account-books.ts";
import type { Database } from "../database.ts";
import { lastRow, rowsUpTo, type Transfer } from "./ledger.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { cursorTextField, decodeCursor, encodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { transfers } from "../schema/ledger.ts";

/** The last row that counts, then the journal and the place in it of the last transfer given. */
const exportCursorSchema = z.tuple([z.int().min(0), cursorTextField, z.int().min(0)]);

type Placed = Transfer & { readonly row: number };

/**
 * All transfers, journal by journal, those of none first. What a first page and the pages after it
 * give is of one moment: `through` is the last row of the ledger that counts.
 */
export async function exportTransfers(
  db: Database,
  query: PageRequest & { readonly through?: number | undefined },
): Promise<Page<Transfer> & { readonly through: number }> {
  const cursor = decodeCursor(exportCursorSchema, query.cursor);
  const through = cursor?.[0] ?? query.through ?? (await lastRow(db));
  const [, source, place] = cursor ?? [through, "", 0];
  const rows: Placed[] = [];
  if (source === "") {
    rows.push(...(await readRows(db, { ...unjournaled(place), through }, query.limit + 1)));
  }
  if (rows.length <= query.limit) {
    const after = source === "" ? { source: "", place: 0 } : { source, place };
    const left = query.limit + 1 - rows.length;
    rows.push(...(await readRows(db, { ...journaled(after), through }, left)));
  }
  const items = rows.slice(0, query.limit);
  const last = items.at(-1);
  const keys = last && [through, last.source, last.source === "" ? last.row : last.sourceSeq];
  const next = rows.length > query.limit && keys !== undefined ? encodeCursor(keys) : null;
  return { items, next, through };
}

interface Stretch {
  readonly where: SQL | undefined;
  readonly order: readonly SQL[];
}

/** Those of before there were journals, in the order in which they came. */
function unjournaled(afterRow: number): Stretch {
  const row = sql`${transfers}.rowid`;
  return {
    where: and(eq(transfers.source, ""), sql`${row} > ${BigInt(afterRow)}`),
    order: [asc(row)],
  };
}

function journaled(after: { readonly source: string; readonly place: number }): Stretch {
  const { source, sourceSeq } = transfers;
  const behind = sql`(${source}, ${sourceSeq}) > (${after.source}, ${BigInt(after.place)})`;
  return { where: and(ne(source, ""), behind), order: [asc(source), asc(sourceSeq)] };
}

function readRows(
  db: Database,
  { where, order, through }: Stretch & { readonly through: number },
  limit: number,
): Promise<readonly Placed[]> {
  return db.read("export the transfers", (orm) =>
    orm
      .select({ ...getTableColumns(transfers), row: sql`${transfers}.rowid`.mapWith(Number) })
      .from(transfers)
      .where(and(where, rowsUpTo(through)))
      .orderBy(...order)
      .limit(limit),
  );
}

/** The transfers into, out of and between an account's own books, newest first. */
export async function listOwnTransfers(
  db: Database,
  query: PageRequest & { readonly accountId: string },
): Promise<Page<Transfer>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: transfers.createdAt, id: transfers.id };
  const { creditAccount, debitAccount } = transfers;
  const rows = await db.read("list the account's transfers", (orm) => {
    const side = (where: SQL | undefined) =>
      orm
        .select()
        .from(transfers)
        .where(and(where, beforeInTime(order, after)));
    // One index each, which SQLite merges in order. What moves between own books is given once, by
    // the side that receives it.
    const [first, second, ...others] = buckets
      .map((bucket) => bookOf(query.accountId, bucket))
      .flatMap((book) => [
        side(eq(creditAccount, book)),
        side(and(eq(debitAccount, book), sql`not ${isOwn(creditAccount, query.accountId)}`)),
      ]);
    assert(first !== undefined && second !== undefined, "an account has books");
    return unionAll(first, second, ...others)
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1);
  });
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}
