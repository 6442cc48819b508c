import { inArray, type SQL, sql } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { bookOf, buckets } from "../../../shared/assets.ts";
import { transfers } from "../schema/ledger.ts";

/** The ledger accounts in which an account has its own money. */
export function ownBooks(accountId: string): readonly string[] {
  return buckets.map((bucket) => bookOf(accountId, bucket));
}

/** Whether a side of a transfer is one of the account's own books. */
export function isOwn(side: SQLiteColumn, accountId: string): SQL {
  return inArray(side, [...ownBooks(accountId)]);
}

/** Both sides of the transfers that touch an account's own books, signed, as `entries`. */
export function ownEntries(accountId: string, asset: string): SQL {
  const { createdAt, creditAccount, debitAccount, amountMicros } = transfers;
  return sql`(
    select ${createdAt} as at_ms, ${amountMicros} as micros from ${transfers}
    where ${isOwn(creditAccount, accountId)} and ${transfers.asset} = ${asset}
    union all
    select ${createdAt}, -${amountMicros} from ${transfers}
    where ${isOwn(debitAccount, accountId)} and ${transfers.asset} = ${asset}
  )`;
}
