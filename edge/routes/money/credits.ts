import { z } from "zod";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { OctoError } from "../../../shared/errors.ts";
import { newId } from "../../../shared/ids.ts";
import { assertWithinOwnPower } from "./approvals.ts";
import { moneyFields, moneyToJson } from "../people/accounts.ts";
import { accountIdField, amountField, remarkField } from "../fields.ts";
import { knownAccount } from "../known-account.ts";
import { defineRoute, type Route } from "../route.ts";

const newCreditSchema = z
  .strictObject({
    amount_micros: amountField,
    reason: remarkField.optional(),
  })
  .meta({ id: "NewCredit", examples: [{ amount_micros: 5_000_000, reason: "welcome" }] });

const creditSchema = z
  .object({
    object: z.literal("credit"),
    id: z.string().meta({ description: "The id of the transfer in the ledger" }),
    account_id: accountIdField,
    amount_micros: z.int(),
    ...moneyFields,
  })
  .meta({ id: "Credit", description: "Credit that was given, and what the account has now." });

/** Credit given to accounts, for operators. */
export const creditRoutes: readonly Route[] = [
  defineRoute({
    name: "giveCredit",
    method: "post",
    path: "/api/v1/accounts/:id/credits",
    summary: "Give an account credit",
    access: "network:operate",
    params: z.strictObject({ id: accountIdField }),
    headers: {
      "idempotency-key":
        "Gives the credit once, however often the request is sent; another amount is a conflict",
    },
    body: newCreditSchema,
    status: 201,
    answer: creditSchema,
    errors: ["not_found", "idempotency_conflict"],
    async handle({ ctx, params: { id }, body, idempotencyKey }) {
      assertWithinOwnPower(ctx, body.amount_micros);
      const { object } = await knownAccount(ctx, id);
      const transferId =
        idempotencyKey === null ? newId("tfr") : `mint:${id}:${await sha256Hex(idempotencyKey)}`;
      const micros = body.amount_micros;
      const result = await object.mint({
        id: transferId,
        micros: BigInt(micros),
        reason: body.reason,
      });
      if (result.kind === "refused") {
        const { code, reason } = result;
        throw new OctoError(code, `Cannot give ${micros} micros to ${id}: ${reason}`);
      }
      return {
        object: "credit",
        id: transferId,
        account_id: id,
        amount_micros: micros,
        ...moneyToJson(result.summary),
      };
    },
  }),
];
