import { z } from "zod";
import { OctoError } from "../../shared/errors.ts";
import { accountStatuses } from "../db/schema.ts";
import { accountObject } from "../objects.ts";
import { moneyFields, moneyToJson } from "./accounts.ts";
import { systemAccountId } from "./active-caller.ts";
import { accountIdField } from "./fields.ts";
import { defineRoute, type Route } from "./route.ts";

const ownAccountSchema = z
  .object({
    object: z.literal("account"),
    id: accountIdField,
    status: z.enum(accountStatuses),
    concurrency_max: z.int().meta({ description: "Tasks that may run at the same time" }),
    ...moneyFields,
  })
  .meta({ id: "OwnAccount", description: "What the caller's account has and may do." });

/** The caller's own account. */
export const ownAccountRoutes: readonly Route[] = [
  defineRoute({
    name: "readOwnAccount",
    method: "get",
    path: "/api/v1/account",
    summary: "Read your own balance and limits",
    access: "any key",
    answer: ownAccountSchema,
    errors: ["not_found"],
    async handle({ ctx, caller }) {
      if (caller.accountId === systemAccountId) {
        throw new OctoError("not_found", "The deployment's own operator key has no account");
      }
      const summary = await accountObject(ctx.env, caller.accountId).summary();
      return {
        object: "account",
        id: caller.accountId,
        status: summary.status,
        concurrency_max: summary.concurrencyMax,
        ...moneyToJson(summary),
      };
    },
  }),
];
