import { and, desc, eq, sql } from "drizzle-orm";
import { z } from "zod";
import type { Database } from "../database.ts";
import type { Page, PageRequest } from "../page.ts";
import { cursorTextField, decodeCursor, toPage } from "../page.ts";
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

/** Where a page ended: time, percent and id of its last alert. */
const alertCursorSchema = z.tuple([z.int().min(0), z.int().min(0), cursorTextField]);

/**
 * The alerts of an account, newest first. One task can reach several percents in one millisecond:
 * of those the highest came last.
 */
export async function listAlerts(
  db: Database,
  query: PageRequest & { readonly accountId: string },
): Promise<Page<Alert>> {
  const after = decodeCursor(alertCursorSchema, query.cursor);
  const { createdAt, percent, id } = alerts;
  const isBehind =
    after === null
      ? undefined
      : sql`(${createdAt}, ${percent}, ${id}) < (${sql.param(after[0], createdAt)},
          ${sql.param(after[1], percent)}, ${after[2]})`;
  const rows = await db.read("list the alerts", (orm) =>
    orm
      .select()
      .from(alerts)
      .where(and(eq(alerts.accountId, query.accountId), isBehind))
      .orderBy(desc(createdAt), desc(percent), desc(id))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.percent, row.id]);
}
