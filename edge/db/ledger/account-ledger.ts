import { and, asc, desc, eq, gte, isNull, ne, notInArray, sql } from "drizzle-orm";
import { emptyJournal, type JournalPlace } from "../../../shared/journal.ts";
import type { Micros } from "../../../shared/money.ts";
import { isOwn } from "./account-books.ts";
import type { Database } from "../database.ts";
import { rowsUpTo, type Transfer } from "./ledger.ts";
import { tasks, transfers } from "../schema/ledger.ts";

/*
 * What the ledger knows of one account, as far as its own object has to know it too: for who
 * compares the two, and for an object that lost what it knew.
 */

/** The last transfer of an account's journal that the ledger has. */
export async function journalHead(db: Database, source: string): Promise<JournalPlace> {
  const rows = await db.read("find the end of a journal", (orm) =>
    orm
      .select({ seq: transfers.sourceSeq, hash: transfers.hash })
      .from(transfers)
      .where(and(eq(transfers.source, source), ne(transfers.source, "")))
      .orderBy(desc(transfers.sourceSeq))
      .limit(1),
  );
  return rows[0] ?? emptyJournal;
}

/** The hash at one place of a journal; null where the ledger has none. */
export async function journalHashAt(
  db: Database,
  place: { readonly source: string; readonly seq: number },
): Promise<string | null> {
  const { source, seq } = place;
  const rows = await db.read("find a place in a journal", (orm) =>
    orm
      .select({ hash: transfers.hash })
      .from(transfers)
      .where(
        and(eq(transfers.source, source), eq(transfers.sourceSeq, seq), ne(transfers.source, "")),
      ),
  );
  return rows[0]?.hash ?? null;
}

/** Other accounts whose transfers gave this one something, each with the last of its journal. */
export async function giversTo(
  db: Database,
  accountId: string,
  limit: number,
): Promise<readonly { readonly source: string; readonly head: bigint }[]> {
  return db.read("find who gave to the account", (orm) =>
    orm.all<{ source: string; head: bigint }>(sql`
      select source as "source", (
        select max(last.source_seq) from ${transfers} as last
        where last.source = giver.source and last.source <> '') as "head"
      from (
        select distinct ${transfers.source} as source from ${transfers}
        where ${isOwn(transfers.creditAccount, accountId)}
          and ${transfers.source} not in ('', ${accountId})
        order by 1 limit ${limit}
      ) as giver`),
  );
}

/** What is in a book of an account, by the transfers that count. */
export interface OwnBook {
  readonly book: string;
  readonly asset: string;
  readonly micros: Micros;
}

/**
 * The books of an account up to a row of the ledger: by its own transfers, those of no journal, and
 * of each other journal those up to a place.
 */
export async function ownBalances(
  db: Database,
  of: {
    readonly accountId: string;
    readonly through: number;
    readonly placesBySource: Readonly<Record<string, number>>;
  },
): Promise<readonly OwnBook[]> {
  const { accountId, through, placesBySource } = of;
  const { source, sourceSeq, creditAccount, debitAccount, amountMicros, asset } = transfers;
  const places = JSON.stringify(placesBySource);
  const counts = sql`${rowsUpTo(through)} and (${source} in ('', ${accountId}) or ${sourceSeq} <=
    (select value from json_each(${places}) where json_each.key = ${source}))`;
  return db.read("sum an account's books", (orm) =>
    orm.all<OwnBook>(sql`
      select book as "book", asset as "asset", sum(micros) as "micros" from (
        select ${creditAccount} as book, ${asset} as asset, ${amountMicros} as micros
        from ${transfers} where ${isOwn(creditAccount, accountId)} and ${counts}
        union all
        select ${debitAccount}, ${asset}, -${amountMicros}
        from ${transfers} where ${isOwn(debitAccount, accountId)} and ${counts}
      ) group by book, asset having sum(micros) <> 0 order by book, asset`),
  );
}

/** Tasks that an account closed lately: what closing one again has to meet. */
export async function closedSince(
  db: Database,
  of: { readonly accountId: string; readonly sinceMs: number; readonly limit: number },
) {
  return db.read("find the tasks that were closed lately", (orm) =>
    orm
      .select({ id: tasks.id, createdAt: tasks.createdAt })
      .from(tasks)
      .where(and(eq(tasks.accountId, of.accountId), gte(tasks.createdAt, of.sinceMs)))
      .limit(of.limit),
  );
}

/** What an account decided that was for no task and not by the clock, in its order. */
export async function movesOf(
  db: Database,
  of: { readonly accountId: string; readonly limit: number },
): Promise<readonly Transfer[]> {
  return db.read("find what an account moved", (orm) =>
    orm
      .select()
      .from(transfers)
      .where(
        and(
          eq(transfers.source, of.accountId),
          ne(transfers.source, ""),
          isNull(transfers.taskId),
          notInArray(transfers.kind, ["release", "restored"]),
        ),
      )
      .orderBy(asc(transfers.sourceSeq))
      .limit(of.limit),
  );
}
