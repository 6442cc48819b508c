import { and, asc, eq, isNull, lt, ne, or } from "drizzle-orm";
import type { Database } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { approvals } from "../schema/money.ts";

export type Approval = typeof approvals.$inferSelect;

export async function createApproval(db: Database, row: Approval): Promise<void> {
  await db.write("ask for approval", (orm) => [orm.insert(approvals).values(row)]);
}

export async function findApproval(db: Database, id: string): Promise<Approval | null> {
  const rows = await db.read("find the approval", (orm) =>
    orm.select().from(approvals).where(eq(approvals.id, id)),
  );
  return rows[0] ?? null;
}

/**
 * Decides a pending approval; false where it was decided before, or by an account whose key also
 * asked for it. One conditional write, so that two deciding at once cannot both succeed.
 */
export async function decideApproval(
  db: Database,
  decision: {
    readonly id: string;
    readonly state: "approved" | "rejected";
    readonly decidedBy: string;
    /** The account of the key that decides. */
    readonly decidedByAccount: string;
    readonly atMs: number;
  },
): Promise<boolean> {
  const { id, state, decidedBy, decidedByAccount, atMs } = decision;
  const [changed] = await db.write("decide the approval", (orm) => [
    orm
      .update(approvals)
      .set({ state, decidedBy, decidedAt: atMs })
      .where(
        and(
          eq(approvals.id, id),
          eq(approvals.state, "pending"),
          ne(approvals.requestedBy, decidedBy),
          // Null where it was asked for before accounts were noted.
          or(isNull(approvals.requestedAccount), ne(approvals.requestedAccount, decidedByAccount)),
        ),
      ),
  ]);
  return changed === 1;
}

/** All approvals, newest first: for operators only. */
export async function listApprovals(db: Database, query: PageRequest): Promise<Page<Approval>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: approvals.createdAt, id: approvals.id };
  const rows = await db.read("list the approvals", (orm) =>
    orm
      .select()
      .from(approvals)
      .where(beforeInTime(order, after))
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}

/** Notes that what was approved has been done. */
export async function endApproval(
  db: Database,
  { id, atMs }: { readonly id: string; readonly atMs: number },
): Promise<void> {
  await db.write("end the approval", (orm) => [
    orm
      .update(approvals)
      .set({ doneAt: atMs })
      .where(and(eq(approvals.id, id), eq(approvals.state, "approved"), isNull(approvals.doneAt))),
  ]);
}

/** What was approved before a time and not done: an edge died in between. The oldest first. */
export async function undoneApprovals(
  db: Database,
  of: { readonly beforeMs: number; readonly limit: number },
): Promise<readonly Approval[]> {
  return db.read("find undone approvals", (orm) =>
    orm
      .select()
      .from(approvals)
      .where(
        and(
          eq(approvals.state, "approved"),
          isNull(approvals.doneAt),
          lt(approvals.decidedAt, of.beforeMs),
        ),
      )
      .orderBy(asc(approvals.decidedAt))
      .limit(of.limit),
  );
}
