import { z } from "zod";
import type { CsvFile } from "../../../shared/csv.ts";
import { databaseOf } from "../../database.ts";
import { providerFigures } from "../../db/money/provider-statements.ts";
import {
  type ProviderStatement,
  providerStatementOf,
  type UnpaidCount,
} from "../../statements/provider-statement.ts";
import { unpaidReasons, unpaidWords } from "../../statements/unpaid-reasons.ts";
import { dayField, type Days, daysOf, daysQuery } from "./days.ts";
import { formatQuery, microsField, microsToJson } from "../fields.ts";
import { defineRoute, type Route } from "../route.ts";
import { accountQuery, visibleAccount } from "../visible-account.ts";

const statementFields = {
  served: z.int().meta({ description: "Attempts that were paid" }),
  tokens: z.int().meta({ description: "That they made" }),
  gross_micros: microsField.meta({ description: "What consumers paid for them" }),
  earned_micros: microsField.meta({ description: "The provider's part of it" }),
  unpaid: z.array(
    z.object({
      reason: z.enum(unpaidReasons),
      words: z.string(),
      attempts: z.int(),
      tokens: z.int(),
    }),
  ),
};

const providerStatementSchema = z
  .object({
    object: z.literal("provider_statement"),
    account_id: z.string(),
    from: dayField,
    to: dayField,
    workers: z.array(
      z.object({
        worker_id: z.string().nullable().meta({
          description: "Null for what was paid and no attempt explains",
        }),
        ...statementFields,
      }),
    ),
    total: z.object(statementFields),
    difference_micros: microsField.meta({
      description: "What the ledger credited less what these lines add up to: 0",
    }),
  })
  .meta({ id: "ProviderStatement", description: "What an account's workers did and earned." });

type StatementJson = z.infer<typeof providerStatementSchema>;

/** What workers earned, and why some of what they did earned nothing. */
export const providerStatementRoutes: readonly Route[] = [
  defineRoute({
    name: "readProviderStatement",
    method: "get",
    path: "/api/v1/statements/provider",
    summary: "Read what your workers earned, and why some attempts earned nothing",
    about:
      "By worker. What was earned counts on the day on which it was paid, and is what the ledger " +
      "credited to the account for tasks, in CREDIT, the only asset that they are paid in; what " +
      "earned nothing counts on the day it was begun.",
    access: "money:read",
    query: z.strictObject({ ...daysQuery, ...accountQuery, ...formatQuery }),
    answer: providerStatementSchema,
    errors: ["not_found"],
    async handle({ ctx, caller, query }) {
      const accountId = visibleAccount(caller, query.account_id);
      const days = daysOf(query, ctx.startedMs);
      await using db = databaseOf(ctx.env);
      const figures = await providerFigures(db, { accountId, ...days });
      return statementToJson(accountId, days, providerStatementOf(figures));
    },
    csv: statementToCsv,
  }),
];

function statementToJson(
  accountId: string,
  { from, to }: Days,
  { workers, total, differenceMicros }: ProviderStatement,
): StatementJson {
  return {
    object: "provider_statement",
    account_id: accountId,
    from,
    to,
    workers: workers.map((worker) => ({ worker_id: worker.workerId, ...linesToJson(worker) })),
    total: linesToJson(total),
    difference_micros: microsToJson(differenceMicros),
  };
}

function linesToJson(of: ProviderStatement["total"]): StatementJson["total"] {
  return {
    served: of.served,
    tokens: microsToJson(of.tokens),
    gross_micros: microsToJson(of.grossMicros),
    earned_micros: microsToJson(of.earnedMicros),
    unpaid: of.unpaid.map(unpaidToJson),
  };
}

function unpaidToJson({ reason, attempts, tokens }: UnpaidCount) {
  return { reason, words: unpaidWords[reason], attempts, tokens: microsToJson(tokens) };
}

/** A line for what a worker was paid for, and one for each reason why it was not. */
function statementToCsv(statement: StatementJson): CsvFile {
  return {
    name: `provider-statement-${statement.from}-${statement.to}.csv`,
    columns: ["worker_id", "line", "attempts", "tokens", "gross_micros", "earned_micros", "words"],
    rows: statement.workers.flatMap((worker) => [
      [
        worker.worker_id,
        "served",
        worker.served,
        worker.tokens,
        worker.gross_micros,
        worker.earned_micros,
        null,
      ],
      ...worker.unpaid.map(({ reason, words, attempts, tokens }) => [
        worker.worker_id,
        reason,
        attempts,
        tokens,
        0,
        0,
        words,
      ]),
    ]),
  };
}
