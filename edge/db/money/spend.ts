import { and, asc, eq, inArray, sql } from "drizzle-orm";
import type { Database } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { receipts, tasks } from "../schema/ledger.ts";

/** A task that was paid for, and the bodies of its receipts in the order of its attempts. */
export interface SpentTask {
  readonly id: string;
  readonly keyId: string;
  readonly teamId: string | null;
  readonly model: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly costMicros: bigint;
  readonly tariff: string | null;
  readonly createdAt: number;
  readonly endedAt: number;
  readonly receipts: readonly string[];
}

/** What an account, or one of its keys, has had settled, newest first. */
export async function listSpentTasks(
  db: Database,
  query: PageRequest & { readonly accountId: string; readonly keyId?: string | undefined },
): Promise<Page<SpentTask>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: tasks.createdAt, id: tasks.id };
  const page = and(
    eq(tasks.accountId, query.accountId),
    eq(tasks.state, "settled"),
    query.keyId === undefined ? undefined : eq(tasks.keyId, query.keyId),
    beforeInTime(order, after),
  );
  const [rows, bodies] = await db.read("list what was spent", (orm) => {
    const onPage = orm
      .select({ id: tasks.id })
      .from(tasks)
      .where(page)
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1);
    return orm.batch([
      orm
        .select({
          id: tasks.id,
          keyId: tasks.keyId,
          teamId: tasks.teamId,
          model: tasks.model,
          promptTokens: tasks.promptTokens,
          completionTokens: tasks.completionTokens,
          costMicros: tasks.costMicros,
          tariff: tasks.tariff,
          endedAt: tasks.endedAt,
          createdAt: tasks.createdAt,
        })
        .from(tasks)
        .where(page)
        .orderBy(...newestFirst(order))
        .limit(query.limit + 1),
      orm
        .select({ taskId: receipts.taskId, body: receipts.body })
        .from(receipts)
        .where(inArray(receipts.taskId, onPage))
        .orderBy(asc(receipts.taskId), asc(receipts.attempt)),
    ]);
  });
  const bodiesByTask = Map.groupBy(bodies, ({ taskId }) => taskId);
  const { items, next } = toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
  return {
    items: items.map((row) => ({
      ...row,
      receipts: (bodiesByTask.get(row.id) ?? []).map(({ body }) => body),
    })),
    next,
  };
}

/** What a team or a key has spent since a time, in micros. */
export async function spentSince(
  db: Database,
  query: {
    readonly accountId: string;
    readonly sinceMs: number;
    readonly of: { readonly keyId: string } | { readonly teamId: string };
  },
): Promise<bigint> {
  const { of } = query;
  const rows = await db.read("add up what was spent", (orm) =>
    orm
      .select({ micros: sql<bigint>`coalesce(sum(${tasks.costMicros}), 0)` })
      .from(tasks)
      .where(
        and(
          eq(tasks.accountId, query.accountId),
          sql`${tasks.createdAt} >= ${sql.param(query.sinceMs, tasks.createdAt)}`,
          "keyId" in of ? eq(tasks.keyId, of.keyId) : eq(tasks.teamId, of.teamId),
        ),
      ),
  );
  return rows[0]?.micros ?? 0n;
}
