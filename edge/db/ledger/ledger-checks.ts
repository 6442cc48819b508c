import { and, desc, eq, gte, lt, sql } from "drizzle-orm";
import { z } from "zod";
import type { Database, Orm } from "../database.ts";
import { findFaults } from "./ledger-faults.ts";
import { entriesOf, lastRow, rowsAfter, rowsUpTo } from "./ledger.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, toPage } from "../page.ts";
import { bookBalances, ledgerChecks } from "../schema/checks.ts";

/*
 * K1. A check covers the transfers behind the last one of the check before it, and adds them to the
 *     kept balances in the transaction that stores it: none is counted twice or left out.
 * K2. Of two checks at once one is stored: the number of the second is taken.
 * K3. A check of the whole sums everything afresh and compares it with what was kept, so that a
 *     transfer that was changed or lost since it was checked is found.
 * K4. A check reaches at least as far as the one before it: what comes back of what was lost is not
 *     kept twice.
 */

export type LedgerCheck = typeof ledgerChecks.$inferSelect;

/**
 * Transfers that one check takes: one to three seconds of a database's time, as what it does for
 * each of them are a few look-ups.
 */
const transfersMax = 100_000;
/** The whole is summed once a day: at a million transfers that takes several seconds. */
const wholeEveryMs = 24 * 3_600_000;
/** Checks that found nothing are kept for a week, at one every five minutes. */
const cleanKept = 2_016;

/**
 * Checks what is new in the ledger, and the whole of it once a day or where `isWhole` asks for it.
 * Throws `conflict` where another check was at it at the same time (K2).
 */
export async function checkLedger(
  db: Database,
  nowMs: number,
  options: { readonly isWhole?: boolean; readonly transfersMax?: number } = {},
): Promise<LedgerCheck> {
  const last = await latestCheck(db);
  const lastWhole = await latestCheck(db, { isWhole: true });
  const after = last?.through ?? 0;
  const head = await lastRow(db);
  // A ledger that lost its end is behind what was checked (K4).
  const through = Math.max(after, Math.min(head, after + (options.transfersMax ?? transfersMax)));
  const isDue = options.isWhole === true || nowMs - (lastWhole?.createdAt ?? 0) >= wholeEveryMs;
  // The whole is compared where the kept balances are of now.
  const isWhole = isDue && through >= head;
  const faults = await findFaults(db, { after, through, isWhole });
  const number = (last?.number ?? 0) + 1;
  const check = { number, through, isWhole, faults, createdAt: nowMs };
  await db.write("store the check of the ledger", (orm) => [
    orm.insert(ledgerChecks).values(check),
    keepBalances(orm, after, through),
    orm
      .delete(ledgerChecks)
      .where(
        and(
          lt(ledgerChecks.number, number - cleanKept),
          eq(ledgerChecks.isWhole, false),
          sql`${ledgerChecks.faults} = '[]'`,
        ),
      ),
  ]);
  return check;
}

function keepBalances(orm: Orm, after: number, through: number) {
  const fresh = entriesOf(and(rowsAfter(after), rowsUpTo(through)));
  return orm
    .insert(bookBalances)
    .select(
      sql`select account, asset, sum(micros), count(*) from ${fresh} where true
        group by account, asset`,
    )
    .onConflictDoUpdate({
      target: [bookBalances.book, bookBalances.asset],
      set: {
        balanceMicros: sql`${bookBalances.balanceMicros} + excluded.balance_micros`,
        entries: sql`${bookBalances.entries} + excluded.entries`,
      },
    });
}

async function latestCheck(
  db: Database,
  of: { readonly isWhole?: true } = {},
): Promise<LedgerCheck | null> {
  const rows = await db.read("find the last check", (orm) =>
    orm
      .select()
      .from(ledgerChecks)
      .where(of.isWhole === undefined ? undefined : eq(ledgerChecks.isWhole, true))
      .orderBy(desc(ledgerChecks.number))
      .limit(1),
  );
  return rows[0] ?? null;
}

/** How the ledger stands by its checks. */
export interface LedgerStanding {
  readonly checkedMs: number | null;
  /** What the last check of the whole found, and those after it: a fault stays until it is gone. */
  readonly faults: readonly string[];
}

export async function ledgerStanding(db: Database): Promise<LedgerStanding> {
  const last = await latestCheck(db);
  if (last === null) return { checkedMs: null, faults: [] };
  const whole = await latestCheck(db, { isWhole: true });
  const rows = await db.read("find what checks found", (orm) =>
    orm
      .select({ faults: ledgerChecks.faults })
      .from(ledgerChecks)
      .where(and(gte(ledgerChecks.number, whole?.number ?? 0), sql`${ledgerChecks.faults} <> '[]'`))
      .orderBy(ledgerChecks.number)
      .limit(100),
  );
  const faults = [...new Set(rows.flatMap((row) => row.faults))];
  return { checkedMs: last.createdAt, faults };
}

const numberCursorSchema = z.tuple([z.int().min(1)]);

/** The checks, newest first. */
export async function listChecks(db: Database, query: PageRequest): Promise<Page<LedgerCheck>> {
  const after = decodeCursor(numberCursorSchema, query.cursor);
  const rows = await db.read("list the checks", (orm) =>
    orm
      .select()
      .from(ledgerChecks)
      .where(after === null ? undefined : lt(ledgerChecks.number, after[0]))
      .orderBy(desc(ledgerChecks.number))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.number]);
}
