import { and, asc, eq, getTableColumns } from "drizzle-orm";
import type { Database } from "../database.ts";
import type { NewTransfer } from "./ledger.ts";
import { insertTransfers } from "./ledger.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { selectRows } from "../rows.ts";
import { attempts, receipts, tasks } from "../schema/ledger.ts";

export type Task = typeof tasks.$inferSelect;
export type NewTask = typeof tasks.$inferInsert;
export type Attempt = typeof attempts.$inferSelect;
export type StoredReceipt = typeof receipts.$inferSelect;
/** A task in a list: all but the explanation of its route. */
export type TaskSummary = Omit<Task, "route">;

/** What ended tasks leave behind. Any part may be empty: a receipt may come long after its task. */
export interface Settlements {
  readonly tasks: readonly NewTask[];
  readonly attempts: readonly Attempt[];
  readonly transfers: readonly NewTransfer[];
  readonly receipts: readonly StoredReceipt[];
}

export interface SettlementCounts {
  readonly tasks: number;
  readonly attempts: number;
  readonly transfers: number;
  readonly receipts: number;
}

const { route: _, ...summaryColumns } = getTableColumns(tasks);

/**
 * Stores settlements in one transaction, every row at most once: sending the same again, as after
 * an answer that was lost, changes nothing. Gives how many rows were new. Throws `conflict` where
 * an attempt has no task, in the batch or before it.
 */
export async function recordSettlements(
  db: Database,
  batch: Settlements,
): Promise<SettlementCounts> {
  const [newTasks = 0, newAttempts = 0, newTransfers = 0, newReceipts = 0] = await db.write(
    "record settlements",
    (orm) => [
      orm
        .insert(tasks)
        .select(selectRows(tasks, batch.tasks))
        .onConflictDoNothing({ target: tasks.id }),
      orm
        .insert(attempts)
        .select(selectRows(attempts, batch.attempts))
        .onConflictDoNothing({ target: [attempts.taskId, attempts.number] }),
      insertTransfers(orm, batch.transfers),
      orm
        .insert(receipts)
        .select(selectRows(receipts, batch.receipts))
        .onConflictDoNothing({ target: [receipts.taskId, receipts.attempt] }),
    ],
  );
  return {
    tasks: newTasks,
    attempts: newAttempts,
    transfers: newTransfers,
    receipts: newReceipts,
  };
}

/**
 * One of an account's tasks with its attempts and receipts, in order; null where the account has
 * none such.
 */
export async function findTask(
  db: Database,
  key: { readonly accountId: string; readonly id: string },
): Promise<{
  readonly task: Task;
  readonly attempts: readonly Attempt[];
  readonly receipts: readonly StoredReceipt[];
} | null> {
  const owned = and(eq(tasks.id, key.id), eq(tasks.accountId, key.accountId));
  const [found, tried, proofs] = await db.read("find the task", (orm) =>
    orm.batch([
      orm.select().from(tasks).where(owned),
      orm
        .select(getTableColumns(attempts))
        .from(attempts)
        .innerJoin(tasks, eq(tasks.id, attempts.taskId))
        .where(owned)
        .orderBy(asc(attempts.number)),
      orm
        .select(getTableColumns(receipts))
        .from(receipts)
        .innerJoin(tasks, eq(tasks.id, receipts.taskId))
        .where(owned)
        .orderBy(asc(receipts.attempt)),
    ]),
  );
  const task = found[0];
  return task === undefined ? null : { task, attempts: tried, receipts: proofs };
}

/** The tasks of an account, newest first. */
export async function listTasks(
  db: Database,
  query: PageRequest & { readonly accountId: string },
): Promise<Page<TaskSummary>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: tasks.createdAt, id: tasks.id };
  const rows = await db.read("list the tasks", (orm) =>
    orm
      .select(summaryColumns)
      .from(tasks)
      .where(and(eq(tasks.accountId, query.accountId), beforeInTime(order, after)))
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}
