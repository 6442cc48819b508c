import { z } from "zod";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { OctoError } from "../../../shared/errors.ts";
import { newId } from "../../../shared/ids.ts";
import { giveAlone } from "./four-eyes.ts";
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
    about:
      "Up to the limit of four eyes (`OCTO_FOUR_EYES_MICROS`), over which two operators have to " +
      "agree. What one operator gave alone in 24 hours counts together, whichever of the keys of " +
      "an account gave it, and so does what one account got in that way.",
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
    async handle({ ctx, caller, params: { id }, body, idempotencyKey }) {
      const { object } = await knownAccount(ctx, id);
      const transferId =
        idempotencyKey === null ? newId("tfr") : `mint:${id}:${await sha256Hex(idempotencyKey)}`;
      const micros = body.amount_micros;
      const asked = {
        id: transferId,
        accountId: id,
        asset: "CREDIT",
        amountMicros: BigInt(micros),
      };
      await giveAlone(ctx, caller, asked);
      const result = await object.mint({
        id: transferId,
        micros: asked.amountMicros,
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
