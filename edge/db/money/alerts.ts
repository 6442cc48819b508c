import { and, eq } from "drizzle-orm";
import type { Database } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { selectRows } from "../rows.ts";
import { alerts } from "../schema/money.ts";

export type Alert = typeof alerts.$inferSelect;
export type NewAlert = typeof alerts.$inferInsert;

/** Stores alerts, each once: an id says all that it tells of. */
export async function recordAlerts(db: Database, rows: readonly NewAlert[]): Promise<void> {
  if (rows.length === 0) return;
  await db.write("record alerts", (orm) => [
    orm.insert(alerts).select(selectRows(alerts, rows)).onConflictDoNothing({ target: alerts.id }),
  ]);
}

/** The alerts of an account, newest first. */
export async function listAlerts(
  db: Database,
  query: PageRequest & { readonly accountId: string },
): Promise<Page<Alert>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: alerts.createdAt, id: alerts.id };
  const rows = await db.read("list the alerts", (orm) =>
    orm
      .select()
      .from(alerts)
      .where(and(eq(alerts.accountId, query.accountId), beforeInTime(order, after)))
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}
