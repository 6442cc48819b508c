import { and, asc, eq, inArray, isNull, lt, type SQL, sql } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { Micros } from "../../../shared/money.ts";
import { aloneMs } from "./credits.ts";
import type { Database } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { withdrawals } from "../schema/money.ts";

export type Withdrawal = typeof withdrawals.$inferSelect;
export type WithdrawalState = Withdrawal["state"];

/** Stores a withdrawal that waits; one with this id stays as it is. */
export async function createWithdrawal(db: Database, row: Withdrawal): Promise<void> {
  await db.write("ask for a withdrawal", (orm) => [
    orm.insert(withdrawals).values(row).onConflictDoNothing({ target: withdrawals.id }),
  ]);
}

/** A withdrawal, of one account where that is named. */
export async function findWithdrawal(
  db: Database,
  key: { readonly id: string; readonly accountId?: string },
): Promise<Withdrawal | null> {
  const { id, accountId } = key;
  const rows = await db.read("find the withdrawal", (orm) =>
    orm
      .select()
      .from(withdrawals)
      .where(
        and(
          eq(withdrawals.id, id),
          accountId === undefined ? undefined : eq(withdrawals.accountId, accountId),
        ),
      ),
  );
  return rows[0] ?? null;
}

/**
 * Rejects a withdrawal that waits or is queued, as long as no payout has it; false where it is over
 * already. One conditional write, as the two below it: of two that decide, one does.
 */
export async function rejectWithdrawal(
  db: Database,
  { id, atMs }: { readonly id: string; readonly atMs: number },
): Promise<boolean> {
  return take(db, {
    where: and(
      eq(withdrawals.id, id),
      inArray(withdrawals.state, ["waiting", "queued"]),
      isNull(withdrawals.payoutId),
    ),
    set: { state: "rejected", updatedAt: atMs },
  });
}

/** Queues a withdrawal that waits, as an operator wants it. */
export async function approveWithdrawal(
  db: Database,
  by: { readonly id: string; readonly approvedBy: string; readonly atMs: number },
): Promise<boolean> {
  const { id, approvedBy, atMs } = by;
  return take(db, {
    where: isWaiting(id),
    set: { state: "queued", approvedBy, queuedAt: atMs, updatedAt: atMs },
  });
}

/**
 * Queues a withdrawal that waits, with no operator, where all that went so in 24 hours is within
 * the limit: from its account, and to its address. Summed by the statement that queues it, so that
 * no two pass together.
 */
export async function queueWithdrawal(
  db: Database,
  row: Pick<Withdrawal, "id" | "accountId" | "address" | "asset" | "amountMicros">,
  by: { readonly limitMicros: Micros; readonly atMs: number },
): Promise<boolean> {
  const { limitMicros, atMs } = by;
  const room = limitMicros - row.amountMicros;
  if (room < 0n) return false;
  const goneAlone = (whose: SQLiteColumn, id: string) => sql`(
    select coalesce(sum(w.amount_micros), 0) from withdrawals as w
    where w.${sql.identifier(whose.name)} = ${id} and w.asset = ${row.asset}
      and w.queued_at > ${BigInt(atMs - aloneMs)} and w.approved_by is null
      and w.state in ('queued', 'paid out'))`;
  return take(db, {
    where: and(
      isWaiting(row.id),
      sql`${goneAlone(withdrawals.accountId, row.accountId)} <= ${room}`,
      sql`${goneAlone(withdrawals.address, row.address)} <= ${room}`,
    ),
    set: { state: "queued", queuedAt: atMs, updatedAt: atMs },
  });
}

function isWaiting(id: string): SQL | undefined {
  return and(
    eq(withdrawals.id, id),
    eq(withdrawals.state, "waiting"),
    isNull(withdrawals.payoutId),
  );
}

async function take(
  db: Database,
  change: { readonly where: SQL | undefined; readonly set: Partial<Withdrawal> },
): Promise<boolean> {
  const [changed] = await db.write("change the withdrawal", (orm) => [
    orm.update(withdrawals).set(change.set).where(change.where),
  ]);
  return changed === 1;
}

/** Notes that the money of a rejected withdrawal is back in its account. */
export async function endWithdrawal(
  db: Database,
  { id, atMs }: { readonly id: string; readonly atMs: number },
): Promise<void> {
  await take(db, {
    where: and(eq(withdrawals.id, id), eq(withdrawals.state, "rejected")),
    set: { returnedAt: atMs },
  });
}

/** Withdrawals that were rejected before a time, and whose money nobody has seen to be back. */
export async function unreturnedWithdrawals(
  db: Database,
  of: { readonly beforeMs: number; readonly limit: number },
): Promise<readonly Withdrawal[]> {
  return db.read("find rejected withdrawals", (orm) =>
    orm
      .select()
      .from(withdrawals)
      .where(
        and(
          eq(withdrawals.state, "rejected"),
          isNull(withdrawals.returnedAt),
          lt(withdrawals.updatedAt, of.beforeMs),
        ),
      )
      .orderBy(asc(withdrawals.updatedAt))
      .limit(of.limit),
  );
}

/** Withdrawals, newest first: an account's, or all of one state for operators. */
export async function listWithdrawals(
  db: Database,
  query: PageRequest & {
    readonly accountId?: string | undefined;
    readonly state?: WithdrawalState | undefined;
  },
): Promise<Page<Withdrawal>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: withdrawals.createdAt, id: withdrawals.id };
  const rows = await db.read("list the withdrawals", (orm) =>
    orm
      .select()
      .from(withdrawals)
      .where(
        and(
          query.accountId === undefined ? undefined : eq(withdrawals.accountId, query.accountId),
          query.state === undefined ? undefined : eq(withdrawals.state, query.state),
          beforeInTime(order, after),
        ),
      )
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}
