import { Webhook } from "standardwebhooks";
import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { accountIdField, amountField, remarkField } from "../fields.ts";
import { checked, parseBody } from "../read-body.ts";
import { type Asset, assets } from "../../../shared/assets.ts";

/**
 * Money that somebody else took for an account: a bank, a card processor, a chain's watcher. They
 * tell of it by a signed notice (Standard Webhooks 1.0.0), each with an id under which it counts
 * once.
 */
export interface DepositNotice {
  readonly id: string;
  readonly accountId: string;
  readonly asset: Asset;
  readonly amountMicros: number;
  /** Which way it came, and what it is called there. */
  readonly rail: string;
  readonly reference: string;
}

/** Turns the checked text of a notice into a deposit; null where it tells of something else. */
export type DepositAdapter = (id: string, body: unknown) => DepositNotice | null;

const noticeSchema = z.object({
  type: z.string(),
  data: z.record(z.string(), z.unknown()),
});

const depositSchema = z.object({
  data: z.strictObject({
    account_id: accountIdField,
    asset: z.enum(assets).default("CREDIT"),
    amount_micros: amountField,
    rail: z.string().regex(/^[a-z0-9-]{1,32}$/, "1 to 32 lower-case letters, digits or hyphens"),
    reference: remarkField.min(1),
  }),
});

/** The notices of this network's own form; others' processors get an adapter beside it. */
export const plainAdapter: DepositAdapter = (id, body) => {
  const notice = checked(body, noticeSchema, "The notice");
  // Whoever sends all of its events gets a success for those that are not ours to take.
  if (notice.type !== "deposit.confirmed") return null;
  // The whole of it, so that an error names a field by its place in the notice.
  const { data: deposit } = checked(body, depositSchema, "The notice");
  return {
    id,
    accountId: deposit.account_id,
    asset: deposit.asset,
    amountMicros: deposit.amount_micros,
    rail: deposit.rail,
    reference: deposit.reference,
  };
};

/**
 * The deposit of a signed notice, or null where it tells of something else. Several secrets are
 * good at once, so that one can be replaced by the next. Throws `invalid_api_key` for a signature
 * of nobody's or a time over five minutes off, whichever it is.
 */
export function readNotice(
  notice: { readonly text: string; readonly header: (name: string) => string | null },
  secrets: readonly string[],
  adapter: DepositAdapter,
): DepositNotice | null {
  const { text, header } = notice;
  const headers = {
    "webhook-id": header("webhook-id") ?? "",
    "webhook-timestamp": header("webhook-timestamp") ?? "",
    "webhook-signature": header("webhook-signature") ?? "",
  };
  if (!secrets.some((secret) => isSigned(secret, text, headers))) {
    throw new OctoError("invalid_api_key", "The notice is not signed by anybody known, or is old");
  }
  return adapter(headers["webhook-id"], parseBody(text, z.unknown()));
}

function isSigned(secret: string, text: string, headers: Record<string, string>): boolean {
  try {
    new Webhook(secret).verify(text, headers, { jsonParse: false });
    return true;
  } catch {
    // The library throws for whatever is not right; a wrong secret of ours is found at the start.
    return false;
  }
}
