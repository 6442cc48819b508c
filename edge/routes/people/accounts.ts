import { z } from "zod";
import { assets, buckets } from "../../../shared/assets.ts";
import { newId } from "../../../shared/ids.ts";
import { limitsSchema } from "../../../shared/limits.ts";
import type { AccountSummary } from "../../billing/account-answers.ts";
import { databaseOf } from "../../database.ts";
import {
  type Account,
  changeAccount,
  createAccount,
  listAccounts,
} from "../../db/people/accounts.ts";
import { accountKinds, accountStatuses } from "../../db/schema/registry.ts";
import {
  accountIdField,
  concurrencyField,
  microsField,
  microsToJson,
  nameField,
  pageQuery,
  pageSchema,
  pageToJson,
  timeField,
  timeToJson,
} from "../fields.ts";
import { knownAccount, openAccount } from "../known-account.ts";
import { defineRoute, type Route } from "../route.ts";
import { storedLimits } from "../keys/stored-limits.ts";

const path = "/api/v1/accounts";
const params = z.strictObject({ id: accountIdField });

/** 128 tasks at once is more than one program's connections; an operator raises it for a fleet. */
export const concurrencyDefault = 128;

/** Its owner's as much as the operator's: the operator's own bound is `concurrency_max`. */
export const limitsField = limitsSchema
  .nullable()
  .meta({ description: "What all of the account together may use; null for no limit" });

const accountSchema = z
  .object({
    object: z.literal("account"),
    id: accountIdField,
    kind: z.enum(accountKinds),
    name: z.string(),
    status: z.enum(accountStatuses),
    concurrency_max: z.int().meta({ description: "Tasks that may run at the same time" }),
    limits: limitsField,
    created_at: timeField,
  })
  .meta({ id: "Account", description: "Who spends or earns credit." });

/** What an account has, in micros. */
export const moneyFields = {
  balance_micros: microsField.meta({
    description: "Credit to spend: what is available and earned, what is held included",
  }),
  available_micros: microsField.meta({
    description: "Credit that may leave the network, as far as it is not held",
  }),
  held_micros: microsField.meta({ description: "Set aside for tasks that are running" }),
  earned_micros: microsField.meta({
    description: "Earned by the account's workers, and available once its window has passed",
  }),
  disputed_micros: microsField.meta({ description: "Credit in dispute" }),
  pending_micros: microsField.meta({
    description: "Credit that is promised, to a withdrawal say",
  }),
  other_balances: z
    .array(z.object({ asset: z.enum(assets), bucket: z.enum(buckets), micros: microsField }))
    .meta({
      description:
        "What the other fields, which are of CREDIT, leave out: every other asset, by the bucket " +
        "it is in, and credit at stake",
    }),
};

const accountWithMoneySchema = accountSchema
  .extend({
    ...moneyFields,
    ledger_pending: z
      .boolean()
      .meta({ description: "Whether changes of the balance are still on their way to the ledger" }),
  })
  .meta({ id: "AccountWithMoney", description: "An account and what it has." });

const newAccountSchema = z
  .strictObject({
    name: nameField,
    kind: z.enum(["consumer", "provider"]).default("consumer"),
    concurrency_max: concurrencyField.default(concurrencyDefault),
  })
  .meta({ id: "NewAccount", examples: [{ name: "Alice", kind: "consumer" }] });

const accountChangeSchema = z
  .strictObject({
    name: nameField.optional(),
    status: z.enum(accountStatuses).optional(),
    concurrency_max: concurrencyField.optional(),
    limits: limitsField.optional(),
  })
  .refine((change) => Object.keys(change).length > 0, "change at least one field")
  .meta({ id: "AccountChange", examples: [{ status: "suspended" }] });

/** Accounts, for operators. */
export const accountRoutes: readonly Route[] = [
  defineRoute({
    name: "createAccount",
    method: "post",
    path,
    summary: "Create an account",
    access: "network:operate",
    body: newAccountSchema,
    status: 201,
    answer: accountSchema,
    async handle({ ctx, body }) {
      const row: Account = {
        id: newId("acct"),
        kind: body.kind,
        name: body.name,
        status: "active",
        concurrencyMax: body.concurrency_max,
        createdAt: ctx.startedMs,
        routing: null,
        limits: null,
      };
      await using db = databaseOf(ctx.env);
      await createAccount(db, row);
      await openAccount(ctx, row);
      return accountToJson(row);
    },
  }),
  defineRoute({
    name: "listAccounts",
    method: "get",
    path,
    summary: "List the accounts, newest first",
    access: "network:operate",
    query: z.strictObject({ ...pageQuery, kind: z.enum(accountKinds).optional() }),
    answer: pageSchema(accountSchema).meta({ id: "AccountPage" }),
    async handle({ ctx, query }) {
      await using db = databaseOf(ctx.env);
      return pageToJson(await listAccounts(db, query), accountToJson);
    },
  }),
  defineRoute({
    name: "readAccount",
    method: "get",
    path: `${path}/:id`,
    summary: "Read an account and what it has",
    access: "network:operate",
    params,
    answer: accountWithMoneySchema,
    errors: ["not_found"],
    async handle({ ctx, params: { id } }) {
      const { row, object } = await knownAccount(ctx, id);
      return withMoney(row, await object.summary());
    },
  }),
  defineRoute({
    name: "changeAccount",
    method: "patch",
    path: `${path}/:id`,
    summary: "Rename, limit, suspend or reactivate an account",
    about:
      "Once this answers a suspended account's keys are refused and limits are obeyed; for keys " +
      "in use that takes two seconds. Tasks that are running end as usual.",
    access: "network:operate",
    params,
    body: accountChangeSchema,
    answer: accountWithMoneySchema,
    errors: ["not_found"],
    async handle({ ctx, params: { id }, body }) {
      const { row, object } = await knownAccount(ctx, id);
      const now = await object.summary();
      // The Account first: it is what refuses a suspended account's tasks.
      await object.open({
        accountId: id,
        status: body.status ?? now.status,
        concurrencyMax: body.concurrency_max ?? now.concurrencyMax,
        ...(body.limits === undefined ? {} : { limits: body.limits }),
      });
      const { name, status, concurrency_max: concurrencyMax, limits } = body;
      await using db = databaseOf(ctx.env);
      await changeAccount(db, id, { name, status, concurrencyMax, limits });
      return withMoney({ ...row, name: name ?? row.name }, await object.summary());
    },
  }),
];

function accountToJson(row: Account): z.infer<typeof accountSchema> {
  return {
    object: "account",
    id: row.id,
    kind: row.kind,
    name: row.name,
    status: row.status,
    concurrency_max: row.concurrencyMax,
    limits: storedLimits(row.limits),
    created_at: timeToJson(row.createdAt),
  };
}

/** The Account's word on its settings counts: the registry may lag behind. */
function withMoney(row: Account, summary: AccountSummary): z.infer<typeof accountWithMoneySchema> {
  return {
    ...accountToJson(row),
    status: summary.status,
    concurrency_max: summary.concurrencyMax,
    limits: summary.limits,
    ...moneyToJson(summary),
    ledger_pending: !summary.outboxEmpty,
  };
}

export function moneyToJson(summary: AccountSummary) {
  return {
    balance_micros: microsToJson(summary.balance),
    available_micros: microsToJson(summary.available),
    held_micros: microsToJson(summary.held),
    earned_micros: microsToJson(summary.earned),
    disputed_micros: microsToJson(summary.disputed),
    pending_micros: microsToJson(summary.pending),
    other_balances: summary.buckets
      .filter(({ asset, bucket }) => asset !== "CREDIT" || bucket === "stake")
      .map(({ asset, bucket, micros }) => ({ asset, bucket, micros: microsToJson(micros) })),
  };
}
