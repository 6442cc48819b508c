import { z } from "zod";
import type { CsvFile } from "../../../shared/csv.ts";
import { OctoError } from "../../../shared/errors.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { invoiceFigures, listMonths } from "../../db/money/invoices.ts";
import { accountObject } from "../../objects.ts";
import { invoiceOf, type SpentOn } from "../../statements/invoice.ts";
import { systemAccountId } from "../active-caller.ts";
import { dayOf, monthBounds, monthField } from "./days.ts";
import { formatQuery, microsField, microsToJson } from "../fields.ts";
import { defineRoute, type Route } from "../route.ts";
import { accountQuery, visibleAccount } from "../visible-account.ts";

const pendingField = z.boolean().meta({
  description:
    "Whether figures may still change: the month is not over, or not all is in the ledger",
});

const invoiceListSchema = z
  .object({
    object: z.literal("list"),
    data: z.array(
      z.object({
        object: z.literal("invoice.summary"),
        month: monthField,
        opening_micros: microsField,
        closing_micros: microsField,
        pending: pendingField,
      }),
    ),
  })
  .meta({ id: "InvoiceList" });

const spentOnFields = {
  tasks: z.int(),
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  spent_micros: microsField,
};

const invoiceSchema = z
  .object({
    object: z.literal("invoice"),
    account_id: z.string(),
    month: monthField,
    pending: pendingField,
    opening_micros: microsField,
    credited_micros: microsField.meta({ description: "Credit given and money paid in" }),
    earned_micros: microsField.meta({ description: "By the account's workers" }),
    spent_micros: microsField.meta({ description: "On tasks" }),
    withdrawn_micros: microsField,
    other_micros: microsField.meta({ description: "What else was added, or taken if below 0" }),
    closing_micros: microsField,
    difference_micros: microsField.meta({
      description:
        "By how much these lines, the balances and the tasks disagree; 0 unless it is pending",
    }),
    by_model: z.array(z.object({ model: z.string().nullable(), ...spentOnFields })),
    by_key: z.array(z.object({ key_id: z.string().nullable(), ...spentOnFields })),
  })
  .meta({
    id: "Invoice",
    description:
      "All of an account's CREDIT over a month in UTC, and of no other asset, which " +
      "`/api/v1/transfers` lists: opening + credited + earned + other − spent − withdrawn = " +
      "closing. Tasks count when they were paid for.",
  });

type InvoiceJson = z.infer<typeof invoiceSchema>;
type SpentOnJson = Omit<InvoiceJson["by_key"][number], "key_id">;

/** What was paid in, spent, earned and paid out, a month at a time. */
export const invoiceRoutes: readonly Route[] = [
  defineRoute({
    name: "listInvoices",
    method: "get",
    path: "/api/v1/invoices",
    summary: "List the months in which your credit moved, newest first",
    about: "Invoices are of CREDIT alone.",
    access: "money:read",
    query: z.strictObject(accountQuery),
    answer: invoiceListSchema,
    errors: ["not_found"],
    async handle({ ctx, caller, query }) {
      const accountId = visibleAccount(caller, query.account_id);
      const isTold = await isLedgerTold(ctx, accountId);
      await using db = databaseOf(ctx.env);
      const months = await listMonths(db, accountId);
      let closing = 0n;
      const data: z.infer<typeof invoiceListSchema>["data"] = months.map((change) => {
        const opening = closing;
        closing += change.changeMicros;
        return {
          object: "invoice.summary",
          month: change.month,
          opening_micros: microsToJson(opening),
          closing_micros: microsToJson(closing),
          pending: !isTold || !isOver(change.month, ctx.startedMs),
        };
      });
      return { object: "list", data: data.toReversed() };
    },
  }),
  defineRoute({
    name: "readInvoice",
    method: "get",
    path: "/api/v1/invoices/:month",
    summary: "Read a month's invoice",
    access: "money:read",
    params: z.strictObject({ month: monthField }),
    query: z.strictObject({ ...accountQuery, ...formatQuery }),
    answer: invoiceSchema,
    errors: ["not_found"],
    async handle({ ctx, caller, params: { month }, query }) {
      const accountId = visibleAccount(caller, query.account_id);
      return readInvoice(ctx, accountId, month);
    },
    csv: invoiceToCsv,
  }),
];

async function readInvoice(ctx: Context, accountId: string, month: string): Promise<InvoiceJson> {
  const pending = !isOver(month, ctx.startedMs) || !(await isLedgerTold(ctx, accountId));
  await using db = databaseOf(ctx.env);
  const figures = await invoiceFigures(db, { accountId, ...monthBounds(month) });
  if (figures.movements.length === 0) {
    throw new OctoError("not_found", `There is no invoice of ${month}: no credit moved in it`);
  }
  const invoice = invoiceOf(figures);
  return {
    object: "invoice",
    account_id: accountId,
    month,
    pending,
    opening_micros: microsToJson(invoice.openingMicros),
    credited_micros: microsToJson(invoice.creditedMicros),
    earned_micros: microsToJson(invoice.earnedMicros),
    spent_micros: microsToJson(invoice.spentMicros),
    withdrawn_micros: microsToJson(invoice.withdrawnMicros),
    other_micros: microsToJson(invoice.otherMicros),
    closing_micros: microsToJson(invoice.closingMicros),
    difference_micros: microsToJson(invoice.differenceMicros),
    by_model: invoice.byModel.map((line) => ({ model: line.name, ...spentOnToJson(line) })),
    by_key: invoice.byKey.map((line) => ({ key_id: line.name, ...spentOnToJson(line) })),
  };
}

function spentOnToJson(line: SpentOn): SpentOnJson {
  return {
    tasks: microsToJson(line.tasks),
    prompt_tokens: microsToJson(line.promptTokens),
    completion_tokens: microsToJson(line.completionTokens),
    spent_micros: microsToJson(line.spentMicros),
  };
}

function isOver(month: string, nowMs: number): boolean {
  return month < dayOf(nowMs).slice(0, 7);
}

/**
 * Whether the ledger has heard of everything that the account decided. To be asked before the
 * ledger is read: what was on its way until then is not in what was read.
 */
async function isLedgerTold(ctx: Context, accountId: string): Promise<boolean> {
  if (accountId === systemAccountId) return true;
  const object = accountObject(ctx.env, accountId);
  // Books without an Account are nobody's to change.
  return !(await object.isOpen()) || (await object.summary()).outboxEmpty;
}

/** A line a figure: what was spent by model and by key is under `spent`, twice over. */
function invoiceToCsv(invoice: InvoiceJson): CsvFile {
  const spent = (line: string, name: string | null, of: SpentOnJson) =>
    [line, name, of.tasks, of.prompt_tokens, of.completion_tokens, of.spent_micros] as const;
  const figure = (line: string, micros: number) => [line, null, null, null, null, micros] as const;
  return {
    name: `invoice-${invoice.month}.csv`,
    columns: ["line", "name", "tasks", "prompt_tokens", "completion_tokens", "micros"],
    rows: [
      figure("opening", invoice.opening_micros),
      figure("credited", invoice.credited_micros),
      figure("earned", invoice.earned_micros),
      figure("spent", invoice.spent_micros),
      figure("withdrawn", invoice.withdrawn_micros),
      figure("other", invoice.other_micros),
      figure("closing", invoice.closing_micros),
      figure("difference", invoice.difference_micros),
      ...invoice.by_model.map((of) => spent("spent by model", of.model, of)),
      ...invoice.by_key.map((of) => spent("spent by key", of.key_id, of)),
    ],
  };
}
