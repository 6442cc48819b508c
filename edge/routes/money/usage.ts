import { z } from "zod";
import type { CsvFile } from "../../../shared/csv.ts";
import { OctoError } from "../../../shared/errors.ts";
import { databaseOf } from "../../database.ts";
import {
  usage,
  type UsageGroup,
  usageGroups,
  type UsageRow,
  type UsageSums,
} from "../../db/money/usage.ts";
import { dayField, daysOf, daysQuery } from "./days.ts";
import { formatQuery, microsField, microsToJson } from "../fields.ts";
import { defineRoute, type Route } from "../route.ts";
import { accountQuery, visibleAccount } from "../visible-account.ts";

/** A year by day and by the keys of a company; more is a matter for several questions. */
const groupsMax = 10_000;

const sumsFields = {
  tasks: z.int(),
  failed_tasks: z.int().meta({ description: "Of these, ended without an answer or a whole one" }),
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  cost_micros: microsField,
};

/** There where it was asked for; null for tasks of no team or project. */
const groupField = z.string().nullable().optional();

const nameByGroup = {
  key: "key_id",
  model: "model",
  day: "day",
  team: "team_id",
  project: "project_id",
} as const satisfies Record<UsageGroup, string>;

const usageSchema = z
  .object({
    object: z.literal("usage"),
    account_id: z.string(),
    from: dayField,
    to: dayField,
    group_by: z.array(z.enum(usageGroups)),
    data: z.array(
      z.object({
        key_id: groupField,
        model: groupField,
        day: groupField,
        team_id: groupField,
        project_id: groupField,
        ...sumsFields,
      }),
    ),
    total: z.object(sumsFields),
  })
  .meta({ id: "UsageReport", description: "What an account's tasks used, in groups." });

type Usage = z.infer<typeof usageSchema>;
type GroupNames = { [Name in (typeof nameByGroup)[UsageGroup]]?: string | null };

const groupByField = z
  .string()
  .max(100)
  .default("day")
  .transform((text) => text.split(","))
  .pipe(
    z
      .array(z.enum(usageGroups))
      .refine((groups) => new Set(groups).size === groups.length, "names a group twice"),
  )
  .meta({ description: `One or several of ${usageGroups.join(", ")}, with commas between` });

/** What tasks used, for whoever asked for them; operators may look at any account's. */
export const usageRoutes: readonly Route[] = [
  defineRoute({
    name: "readUsage",
    method: "get",
    path: "/api/v1/usage",
    summary: "Sum what your tasks used by key, model, day, team or project",
    about:
      "Tasks that have ended, by when they were asked for; days are in UTC. The groups add up to " +
      "the total, however they are chosen. Costs are in CREDIT, which alone pays for tasks.",
    access: "account:read",
    query: z.strictObject({
      group_by: groupByField,
      ...daysQuery,
      ...accountQuery,
      ...formatQuery,
    }),
    answer: usageSchema,
    errors: ["not_found"],
    async handle({ ctx, caller, query }) {
      const accountId = visibleAccount(caller, query.account_id);
      const { from, to, fromMs, beforeMs } = daysOf(query, ctx.startedMs);
      const groupBy = query.group_by;
      await using db = databaseOf(ctx.env);
      const limit = groupsMax + 1;
      const { rows, total } = await usage(db, { accountId, fromMs, beforeMs, groupBy, limit });
      if (rows.length > groupsMax) throw tooMany(groupBy);
      const answer: Usage = {
        object: "usage",
        account_id: accountId,
        from,
        to,
        group_by: groupBy,
        data: rows.map((row) => ({ ...groupsToJson(groupBy, row), ...sumsToJson(row) })),
        total: sumsToJson(total),
      };
      return answer;
    },
    csv: usageToCsv,
  }),
];

function tooMany(groupBy: readonly UsageGroup[]): OctoError {
  const groups = `Grouped by ${groupBy.join(" and ")} these are over ${groupsMax} rows`;
  return new OctoError("invalid_request", `${groups}: ask for fewer days or groups`, {
    param: "group_by",
  });
}

function groupsToJson(groupBy: readonly UsageGroup[], row: UsageRow): GroupNames {
  return Object.fromEntries(groupBy.map((group) => [nameByGroup[group], row[group] ?? null]));
}

function sumsToJson(sums: UsageSums): Usage["total"] {
  return {
    tasks: microsToJson(sums.tasks),
    failed_tasks: microsToJson(sums.failedTasks),
    prompt_tokens: microsToJson(sums.promptTokens),
    completion_tokens: microsToJson(sums.completionTokens),
    cost_micros: microsToJson(sums.costMicros),
  };
}

function usageToCsv({ from, to, group_by, data }: Usage): CsvFile {
  const columns = [
    ...group_by.map((group) => nameByGroup[group]),
    "tasks" as const,
    "failed_tasks" as const,
    "prompt_tokens" as const,
    "completion_tokens" as const,
    "cost_micros" as const,
  ];
  return {
    name: `usage-${from}-${to}.csv`,
    columns,
    rows: data.map((row) => columns.map((column) => row[column] ?? null)),
  };
}
