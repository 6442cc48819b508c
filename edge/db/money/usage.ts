import { and, eq, gte, lt, sql, type SQL } from "drizzle-orm";
import type { Micros } from "../../../shared/money.ts";
import type { Database } from "../database.ts";
import { tasks } from "../schema/ledger.ts";

/** What usage can be told apart by. */
export const usageGroups = ["key", "model", "day", "team", "project"] as const;
export type UsageGroup = (typeof usageGroups)[number];

/** What a number of ended tasks used. */
export interface UsageSums {
  readonly tasks: bigint;
  /** Those that ended without an answer, or with a broken one. */
  readonly failedTasks: bigint;
  readonly promptTokens: bigint;
  readonly completionTokens: bigint;
  readonly costMicros: Micros;
}

/** One group: what it is told apart by, as asked, and its sums. */
export type UsageRow = Partial<Record<UsageGroup, string | null>> & UsageSums;

export interface UsageQuery {
  readonly accountId: string;
  readonly fromMs: number;
  readonly beforeMs: number;
  readonly groupBy: readonly UsageGroup[];
  readonly limit: number;
}

const groupValue: Readonly<Record<UsageGroup, SQL>> = {
  key: sql`${tasks.keyId}`,
  model: sql`${tasks.model}`,
  day: sql`date(${tasks.createdAt} / 1000, 'unixepoch')`,
  team: sql`${tasks.teamId}`,
  project: sql`${tasks.projectId}`,
};

const sums = sql`count(*) as "tasks",
  coalesce(sum(${tasks.state} = 'void' or ${tasks.errorCode} is not null), 0) as "failedTasks",
  coalesce(sum(${tasks.promptTokens}), 0) as "promptTokens",
  coalesce(sum(${tasks.completionTokens}), 0) as "completionTokens",
  coalesce(sum(${tasks.costMicros}), 0) as "costMicros"`;

/**
 * What an account's tasks used, by when they were asked for: the first `limit` groups in their
 * order, and the sums over all of them, each from the tasks themselves and of one moment.
 */
export async function usage(
  db: Database,
  query: UsageQuery,
): Promise<{ readonly rows: readonly UsageRow[]; readonly total: UsageSums }> {
  const within = and(
    eq(tasks.accountId, query.accountId),
    gte(tasks.createdAt, query.fromMs),
    lt(tasks.createdAt, query.beforeMs),
  );
  const names = query.groupBy.map((group) => sql.identifier(group));
  const values = query.groupBy.map(
    (group) => sql`${groupValue[group]} as ${sql.identifier(group)}`,
  );
  const by = sql.join(names, sql`, `);
  const [rows, totals] = await db.read("sum the usage", (orm) =>
    orm.batch([
      orm.all<UsageRow>(sql`select ${sql.join(values, sql`, `)}, ${sums} from ${tasks}
        where ${within} group by ${by} order by ${by} limit ${query.limit}`),
      orm.all<UsageSums>(sql`select ${sums} from ${tasks} where ${within}`),
    ]),
  );
  return { rows, total: totals[0] ?? nothing };
}

const nothing: UsageSums = {
  tasks: 0n,
  failedTasks: 0n,
  promptTokens: 0n,
  completionTokens: 0n,
  costMicros: 0n,
};
