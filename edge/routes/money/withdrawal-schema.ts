import { z } from "zod";
import { type Asset, assets } from "../../../shared/assets.ts";
import { isChecksumRight } from "../../../shared/crypto/evm-address.ts";
import { withdrawalStates } from "../../db/schema/money.ts";
import type { Withdrawal } from "../../db/money/withdrawals.ts";
import { accountIdField, amountField, microsField, microsToJson } from "../fields.ts";
import { timeField, timeToJson } from "../fields.ts";

/** Withdrawals as the API tells of them. */

/**
 * In lower case, so that an address has one spelling. Written in both cases it carries a checksum
 * (EIP-55), and is refused where that is wrong: money sent to a mistyped address is lost.
 */
export const addressField = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, "an EVM address: 0x and 40 hexadecimal digits")
  .refine(isChecksumRight, "mistyped: its upper and lower case are not those of its checksum")
  .toLowerCase();

/** Nobody has the key of this address: tokens refuse to be sent to it, or are lost. */
const nobody = `0x${"0".repeat(40)}`;

export const withdrawalIdField = z
  .string()
  .regex(/^wdr_[0-9A-Za-z]{22,64}$/, "not the id of a withdrawal");

export const withdrawalSchema = z
  .object({
    object: z.literal("withdrawal"),
    id: z.string(),
    account_id: accountIdField,
    asset: z.enum(assets),
    amount_micros: microsField,
    address: z.string(),
    state: z.enum(withdrawalStates).meta({
      description: "`waiting` for an operator, `queued` for the next payout, or over",
    }),
    payout_id: z.string().nullable(),
    requested_by: z.string().nullable().meta({
      description: "The key or the person that asked; null where that was not noted yet",
    }),
    approved_by: z.string().nullable().meta({
      description: "The operator's key that let it go; null where none had to, or has yet",
    }),
    created_at: timeField,
    updated_at: timeField,
  })
  .meta({ id: "Withdrawal", description: "Money that leaves the network." });

export const newWithdrawalSchema = z
  .strictObject({
    asset: z.enum(assets).default("CREDIT"),
    amount_micros: amountField.meta({
      description:
        "At least what the edge sets for the asset (`OCTO_WITHDRAWAL_MIN_MICROS`; 1,000,000 " +
        "unless set), as each withdrawal costs on chain. An error names it.",
    }),
    address: addressField.refine((address) => address !== nobody, "the address of nobody"),
  })
  .meta({
    id: "NewWithdrawal",
    examples: [{ amount_micros: 5_000_000, address: "0x52908400098527886e0f7030069857d2e4169ee7" }],
  });

export function withdrawalToJson(row: Withdrawal): z.infer<typeof withdrawalSchema> {
  return {
    object: "withdrawal",
    id: row.id,
    account_id: row.accountId,
    asset: row.asset as Asset,
    amount_micros: microsToJson(row.amountMicros),
    address: row.address,
    state: row.state,
    payout_id: row.payoutId,
    requested_by: row.requestedBy,
    approved_by: row.approvedBy,
    created_at: timeToJson(row.createdAt),
    updated_at: timeToJson(row.updatedAt),
  };
}
