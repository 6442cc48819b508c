import { z } from "zod";
import { budgetPeriods, limitScopes } from "../../../shared/limits.ts";
import { databaseOf } from "../../database.ts";
import { type Alert, listAlerts } from "../../db/money/alerts.ts";
import {
  microsField,
  microsToJson,
  pageQuery,
  pageSchema,
  pageToJson,
  timeField,
  timeToJson,
} from "../fields.ts";
import { defineRoute, type Route } from "../route.ts";

const alertSchema = z
  .object({
    object: z.literal("alert"),
    id: z.string(),
    scope: z.enum(limitScopes).meta({ description: "What the budget is of" }),
    scope_id: z
      .string()
      .meta({ description: "Its id; of a model `key:ID/MODEL`, after what it is a limit in" }),
    period: z.enum(budgetPeriods),
    percent: z.int().meta({ description: "80, 95 or 100" }),
    spent_micros: microsField,
    budget_micros: microsField,
    created_at: timeField,
  })
  .meta({ id: "Alert", description: "A budget of a UTC day or month that is used up, or nearly." });

/** What an account was warned of. */
export const alertRoutes: readonly Route[] = [
  defineRoute({
    name: "listAlerts",
    method: "get",
    path: "/api/v1/alerts",
    summary: "List the budgets that reached 80, 95 or 100 percent, newest first",
    about: "Each is told once a period; a budget that was changed is told of anew.",
    access: "money:read",
    query: z.strictObject(pageQuery),
    answer: pageSchema(alertSchema).meta({ id: "AlertPage" }),
    async handle({ ctx, caller: { accountId }, query }) {
      await using db = databaseOf(ctx.env);
      return pageToJson(await listAlerts(db, { accountId, ...query }), alertToJson);
    },
  }),
];

function alertToJson(row: Alert): z.infer<typeof alertSchema> {
  return {
    object: "alert",
    id: row.id,
    scope: row.scope,
    scope_id: row.scopeId,
    period: row.period,
    percent: row.percent,
    spent_micros: microsToJson(row.spentMicros),
    budget_micros: microsToJson(row.budgetMicros),
    created_at: timeToJson(row.createdAt),
  };
}
