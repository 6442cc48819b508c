import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { type OctoOptions, octoOptionsSchema } from "../../../shared/openai/octo-options.ts";
import { verificationLevels } from "../../../shared/verification.ts";
import type { Caller, Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { changeAccount, findAccount } from "../../db/people/accounts.ts";
import { accountStatuses } from "../../db/schema/registry.ts";
import { forgetKeysOf, storedRouting } from "../../keys/known-keys.ts";
import { accountObject } from "../../objects.ts";
import { limitsField, moneyFields, moneyToJson } from "./accounts.ts";
import { systemAccountId } from "../active-caller.ts";
import { accountIdField } from "../fields.ts";
import { pushGroup } from "../keys/push-limits.ts";
import { defineRoute, type Route } from "../route.ts";
import { verificationOf } from "./verification.ts";

const routingField = octoOptionsSchema
  .nullable()
  .meta({ description: "What requests ask in `octo` where they do not say; null for nothing" });

const ownAccountSchema = z
  .object({
    object: z.literal("account"),
    id: accountIdField,
    status: z.enum(accountStatuses),
    concurrency_max: z.int().meta({ description: "Tasks that may run at the same time" }),
    ...moneyFields,
    routing: routingField,
    verification: z.enum(verificationLevels).meta({
      description: "How well the account is known: by its own history, or by who attests it",
    }),
    limits: limitsField,
  })
  .meta({ id: "OwnAccount", description: "What the caller's account has and may do." });

const ownAccountChangeSchema = z
  .strictObject({ routing: routingField.optional(), limits: limitsField.optional() })
  .refine((change) => Object.keys(change).length > 0, "change at least one field")
  .meta({
    id: "OwnAccountChange",
    examples: [
      { routing: { strategy: "cost", region: "weur" }, limits: { day_budget_micros: 5_000_000 } },
    ],
  });

const path = "/api/v1/account";

/** The caller's own account. */
export const ownAccountRoutes: readonly Route[] = [
  defineRoute({
    name: "readOwnAccount",
    method: "get",
    path,
    summary: "Read your own balance, limits and routing",
    access: "account:read",
    answer: ownAccountSchema,
    errors: ["not_found"],
    async handle({ ctx, caller }) {
      assertHasAccount(caller);
      await using db = databaseOf(ctx.env);
      const row = await findAccount(db, caller.accountId);
      return ownAccount(ctx, caller, storedRouting(row?.routing));
    },
  }),
  defineRoute({
    name: "changeOwnAccount",
    method: "patch",
    path,
    summary: "Change how your requests are routed where they do not say, and what they may use",
    about:
      "A request's own `octo`, its headers and its model's suffix count before these defaults. A " +
      "change of `routing` may take a minute to be known everywhere; `limits` are obeyed once " +
      "this answers.",
    access: "account:write",
    body: ownAccountChangeSchema,
    answer: ownAccountSchema,
    errors: ["not_found"],
    async handle({ ctx, caller, body: { routing, limits } }) {
      assertHasAccount(caller);
      const { accountId: id } = caller;
      if (limits !== undefined) await pushGroup(ctx, id, { scope: "account", id, limits });
      await using db = databaseOf(ctx.env);
      await changeAccount(db, id, { routing, limits });
      if (routing !== undefined) forgetKeysOf(id);
      const row = await findAccount(db, id);
      return ownAccount(ctx, caller, storedRouting(row?.routing));
    },
  }),
];

function assertHasAccount(caller: Caller): void {
  if (caller.accountId !== systemAccountId) return;
  throw new OctoError("not_found", "The deployment's own operator key has no account");
}

async function ownAccount(
  ctx: Context,
  { accountId }: Caller,
  routing: OctoOptions | null,
): Promise<z.infer<typeof ownAccountSchema>> {
  const [summary, verification] = await Promise.all([
    accountObject(ctx.env, accountId).summary(),
    verificationOf(ctx, accountId),
  ]);
  return {
    object: "account",
    id: accountId,
    status: summary.status,
    concurrency_max: summary.concurrencyMax,
    ...moneyToJson(summary),
    routing,
    verification,
    limits: summary.limits,
  };
}
