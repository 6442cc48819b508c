import { and, asc, eq, inArray, isNotNull, isNull, sql } from "drizzle-orm";
import type { Micros } from "../../../shared/money.ts";
import type { Database } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { accounts } from "../schema/registry.ts";
import { payoutProofs, payouts, withdrawals } from "../schema/money.ts";
import type { Withdrawal } from "./withdrawals.ts";

export type Payout = typeof payouts.$inferSelect;

/**
 * Begins a payout of the oldest queued withdrawals of an asset: from now on they are its own. Those
 * of suspended accounts stay queued, for operators to look at. Does nothing where there is one that
 * was begun and not finished, or where nothing is queued. Its time is behind that of every other,
 * whatever the clock says: payouts sum up in that order.
 */
export async function beginPayout(
  db: Database,
  payout: Pick<Payout, "id" | "asset" | "createdAt"> & { readonly withdrawalsMax: number },
): Promise<void> {
  const { id, asset, createdAt, withdrawalsMax } = payout;
  const isQueued = and(
    eq(withdrawals.asset, asset),
    eq(withdrawals.state, "queued"),
    isNull(withdrawals.payoutId),
    sql`exists (select 1 from ${accounts}
      where ${accounts.id} = ${withdrawals.accountId} and ${accounts.status} = 'active')`,
  );
  await db.write("begin the payout", (orm) => [
    orm.insert(payouts).select(
      sql`select ${id}, ${asset}, '', 0, 0, max(${sql.param(createdAt, payouts.createdAt)},
          (select coalesce(max(${payouts.createdAt}), 0) + 1 from ${payouts}))
        where not exists (select 1 from ${payouts} where ${payouts.root} = '')
          and exists (select 1 from ${withdrawals} where ${isQueued})`,
    ),
    orm
      .update(withdrawals)
      .set({ payoutId: id })
      .where(
        and(
          sql`exists (select 1 from ${payouts} where ${payouts.id} = ${id})`,
          inArray(
            withdrawals.id,
            orm
              .select({ id: withdrawals.id })
              .from(withdrawals)
              .where(isQueued)
              .orderBy(asc(withdrawals.createdAt), asc(withdrawals.id))
              .limit(withdrawalsMax),
          ),
        ),
      ),
  ]);
}

/** The payout that was begun and not finished, if any. */
export async function openPayout(db: Database): Promise<Payout | null> {
  const rows = await db.read("find the open payout", (orm) =>
    orm.select().from(payouts).where(eq(payouts.root, "")),
  );
  return rows[0] ?? null;
}

export async function findPayout(db: Database, id: string): Promise<Payout | null> {
  const rows = await db.read("find the payout", (orm) =>
    orm.select().from(payouts).where(eq(payouts.id, id)),
  );
  return rows[0] ?? null;
}

/** The withdrawals of a payout. */
export async function withdrawalsOf(db: Database, payoutId: string): Promise<Withdrawal[]> {
  return db.read("read the payout's withdrawals", (orm) =>
    orm
      .select()
      .from(withdrawals)
      .where(eq(withdrawals.payoutId, payoutId))
      .orderBy(asc(withdrawals.createdAt), asc(withdrawals.id)),
  );
}

/** What an address was paid out in all: a leaf of a payout's tree. */
export interface PaidAddress {
  readonly address: string;
  readonly micros: Micros;
}

/**
 * What each address was paid out in all, up to and with a payout: the leaves of its tree; or that
 * of one address. Payouts are made one after the other, so that those before it never change.
 */
export async function paidByAddress(
  db: Database,
  payout: Pick<Payout, "id" | "asset" | "createdAt">,
  address?: string,
): Promise<readonly PaidAddress[]> {
  const { id, asset, createdAt } = payout;
  return db.read("sum up the payouts", (orm) =>
    orm
      .select({
        address: withdrawals.address,
        micros: sql<bigint>`sum(${withdrawals.amountMicros})`.as("micros"),
      })
      .from(withdrawals)
      .innerJoin(payouts, eq(payouts.id, withdrawals.payoutId))
      .where(
        and(
          eq(withdrawals.asset, asset),
          isNotNull(withdrawals.payoutId),
          address === undefined ? undefined : eq(withdrawals.address, address),
          sql`(${payouts.createdAt}, ${payouts.id}) <=
            (${sql.param(createdAt, payouts.createdAt)}, ${id})`,
        ),
      )
      .groupBy(withdrawals.address)
      .orderBy(asc(withdrawals.address)),
  );
}

/**
 * Takes withdrawals out of a payout that is not finished, back to an operator, and ends the payout
 * where it has none left.
 */
export async function leavePayout(
  db: Database,
  leaving: {
    readonly payoutId: string;
    readonly withdrawalIds: readonly string[];
    readonly atMs: number;
  },
): Promise<void> {
  const { payoutId, withdrawalIds, atMs } = leaving;
  const isOpen = and(eq(payouts.id, payoutId), eq(payouts.root, ""));
  await db.write("take withdrawals out of the payout", (orm) => [
    orm
      .update(withdrawals)
      .set({ state: "waiting", payoutId: null, updatedAt: atMs })
      .where(
        and(
          eq(withdrawals.payoutId, payoutId),
          sql`${withdrawals.id} in (select value from json_each(${JSON.stringify(withdrawalIds)}))`,
          sql`exists (select 1 from ${payouts} where ${isOpen})`,
        ),
      ),
    orm
      .delete(payoutProofs)
      .where(
        and(
          eq(payoutProofs.payoutId, payoutId),
          sql`exists (select 1 from ${payouts} where ${isOpen})`,
        ),
      ),
    orm.delete(payouts).where(
      and(
        isOpen,
        sql`not exists (
          select 1 from ${withdrawals} where ${withdrawals.payoutId} = ${payoutId})`,
      ),
    ),
  ]);
}

/** Finishes a payout: its root is known, and its withdrawals are paid out. */
export async function finishPayout(
  db: Database,
  payout: Pick<Payout, "id" | "root" | "count" | "totalMicros"> & { readonly atMs: number },
): Promise<void> {
  const { id, root, count, totalMicros, atMs } = payout;
  await db.write("finish the payout", (orm) => [
    orm
      .update(withdrawals)
      .set({ state: "paid out", updatedAt: atMs })
      .where(eq(withdrawals.payoutId, id)),
    orm
      .update(payouts)
      .set({ root, count, totalMicros })
      .where(and(eq(payouts.id, id), eq(payouts.root, ""))),
  ]);
}

/** All payouts, newest first. */
export async function listPayouts(db: Database, query: PageRequest): Promise<Page<Payout>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: payouts.createdAt, id: payouts.id };
  const rows = await db.read("list the payouts", (orm) =>
    orm
      .select()
      .from(payouts)
      .where(and(sql`${payouts.root} <> ''`, beforeInTime(order, after)))
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}
