import { and, asc, eq, inArray, isNull, lt, notExists, type SQL, sql } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { Micros } from "../../../shared/money.ts";
import { aloneMs } from "./credits.ts";
import type { Database } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { transfers } from "../schema/ledger.ts";
import { withdrawals, withdrawalStates } from "../schema/money.ts";

export type Withdrawal = typeof withdrawals.$inferSelect;
/** What a withdrawal is told to be. */
export type WithdrawalState = (typeof withdrawalStates)[number];

export function toldState({ state }: Withdrawal): WithdrawalState {
  return state === "cancelling" ? "cancelled" : state;
}

/** Ends the id of the transfer that sets a withdrawal's money aside: `pendMoney` names it so. */
const asideSuffix = ":pend";

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
 * Rejects or cancels a withdrawal that waits or is queued, as long as no payout has it; false where
 * it is over already. One conditional write, as the two below it: of two that decide, one does.
 */
export async function rejectWithdrawal(
  db: Database,
  by: { readonly id: string; readonly isOwn: boolean; readonly atMs: number },
): Promise<boolean> {
  const { id, isOwn, atMs } = by;
  return take(db, {
    where: and(
      eq(withdrawals.id, id),
      inArray(withdrawals.state, ["waiting", "queued"]),
      isNull(withdrawals.payoutId),
    ),
    set: { state: isOwn ? "cancelling" : "rejected", updatedAt: atMs },
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

/** Notes that the money of a rejected or cancelled withdrawal is back in its account. */
export async function endWithdrawal(
  db: Database,
  row: Pick<Withdrawal, "id" | "state">,
  atMs: number,
): Promise<void> {
  await take(db, {
    where: and(eq(withdrawals.id, row.id), eq(withdrawals.state, row.state)),
    set: { state: row.state === "cancelling" ? "cancelled" : row.state, returnedAt: atMs },
  });
}

/**
 * Withdrawals that were rejected or cancelled before a time, and whose money nobody has seen to be
 * back: up to the limit of each, by an index that has no others.
 */
export async function unreturnedWithdrawals(
  db: Database,
  of: { readonly beforeMs: number; readonly limit: number },
): Promise<readonly Withdrawal[]> {
  const [rejected, cancelled] = await db.read("find withdrawals to give back", (orm) => {
    const inState = (state: "rejected" | "cancelling") =>
      orm
        .select()
        .from(withdrawals)
        .where(
          and(
            eq(withdrawals.state, state),
            isNull(withdrawals.returnedAt),
            lt(withdrawals.updatedAt, of.beforeMs),
          ),
        )
        .orderBy(asc(withdrawals.updatedAt))
        .limit(of.limit);
    return orm.batch([inState("rejected"), inState("cancelling")]);
  });
  return [...rejected, ...cancelled];
}

/**
 * Withdrawals that were asked for before a time and have had nothing set aside: what waits for an
 * operator has, and the ledger knows the transfer that did it.
 */
export async function withdrawalsNotSetAside(
  db: Database,
  of: { readonly beforeMs: number; readonly limit: number },
): Promise<readonly Withdrawal[]> {
  return db.read("find withdrawals with nothing set aside", (orm) =>
    orm
      .select()
      .from(withdrawals)
      .where(
        and(
          eq(withdrawals.state, "waiting"),
          lt(withdrawals.createdAt, of.beforeMs),
          notExists(
            orm
              .select({ id: transfers.id })
              .from(transfers)
              .where(eq(transfers.id, sql`${withdrawals.id} || ${asideSuffix}`)),
          ),
        ),
      )
      .orderBy(asc(withdrawals.createdAt))
      .limit(of.limit),
  );
}

/** The states in which one of this state is stored. */
function stored(state: WithdrawalState): readonly Withdrawal["state"][] {
  return state === "cancelled" ? ["cancelled", "cancelling"] : [state];
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
          query.state === undefined ? undefined : inArray(withdrawals.state, stored(query.state)),
          beforeInTime(order, after),
        ),
      )
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}
