import { sql } from "drizzle-orm";
import { check, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { flag, micros, whole } from "./columns.ts";

/*
 * What the audit by cron keeps, so that a large ledger is not summed whole every few minutes. All
 * of it follows from the transfers, and a check of the whole compares it with them.
 */

/** The balance of every ledger account over the transfers that were checked. */
export const bookBalances = sqliteTable(
  "book_balances",
  {
    book: text("book").notNull(),
    asset: text("asset").notNull(),
    balanceMicros: micros("balance_micros").notNull(),
    /** How many transfers moved it. */
    entries: whole("entries").notNull(),
  },
  (table) => [primaryKey({ columns: [table.book, table.asset] })],
);

/** The checks, and what they found. */
export const ledgerChecks = sqliteTable(
  "ledger_checks",
  {
    /** From 1, without gaps in what is done: of two checks at once one does not take place. */
    number: whole("number").primaryKey(),
    /** The row number of the last transfer that was checked; rows are only ever added. */
    through: whole("through").notNull(),
    /** Whether everything was summed afresh, and not only what was new. */
    isWhole: flag("is_whole").notNull(),
    /** Sentences; none is a ledger that adds up. */
    faults: text("faults", { mode: "json" }).$type<readonly string[]>().notNull(),
    createdAt: whole("created_at").notNull(),
  },
  (table) => [check("ledger_checks_faults", sql`json_valid(${table.faults})`)],
);
