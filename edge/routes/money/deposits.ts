import { Hono } from "hono";
import { z } from "zod";
import { bookOf, systemBooks } from "../../../shared/assets.ts";
import { OctoError } from "../../../shared/errors.ts";
import type { AppEnv } from "../../app-env.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { type Deposit, listDeposits, recordDeposit } from "../../db/money/deposits.ts";
import type { RouteDescription } from "../../openapi/description.ts";
import { type DepositNotice, plainAdapter, readNotice } from "./deposit-notice.ts";
import {
  accountIdField,
  microsField,
  microsToJson,
  pageQuery,
  pageSchema,
  pageToJson,
  timeField,
  timeToJson,
} from "../fields.ts";
import { unlessRefused } from "../../rates/count-calls.ts";
import { knownAccount } from "../known-account.ts";
import { readText } from "../read-body.ts";
import { defineRoute, type Route } from "../route.ts";

const noticePath = "/api/v1/deposits/notices";

const depositSchema = z
  .object({
    object: z.literal("deposit"),
    id: z.string(),
    account_id: accountIdField,
    asset: z.string(),
    amount_micros: microsField,
    rail: z.string().meta({ description: "Which way it came" }),
    reference: z.string().meta({ description: "What it is called there" }),
    created_at: timeField,
  })
  .meta({ id: "Deposit", description: "Money that came in." });

const takenSchema = z
  .object({ object: z.literal("deposit.notice"), id: z.string(), taken: z.boolean() })
  .meta({ id: "DepositNotice", description: "Whether the notice told of a deposit." });

/** Where whoever takes money for accounts tells of it. */
export const depositNoticeRoutes = new Hono<AppEnv>().post(noticePath, async (c) => {
  const ctx = c.get("ctx");
  const { raw } = c.req;
  const text = await readText(raw);
  const header = (name: string) => raw.headers.get(name);
  const notice = await unlessRefused(ctx, () =>
    readNotice({ text, header }, ctx.config.depositSecrets, plainAdapter),
  );
  if (notice !== null) await take(ctx, notice);
  return c.json({
    object: "deposit.notice",
    id: header("webhook-id") ?? "",
    taken: notice !== null,
  } satisfies z.infer<typeof takenSchema>);
});

/**
 * The registry first, where an id is of one account only: an Account knows just the ids that it was
 * given itself, and the ledger would pass over the second transfer of one id. Where the rest fails
 * the notice comes again, and gives nothing twice.
 */
async function take(ctx: Context, notice: DepositNotice): Promise<void> {
  const { id, accountId, asset, rail, reference } = notice;
  const amountMicros = BigInt(notice.amountMicros);
  const { object } = await knownAccount(ctx, accountId);
  await using db = databaseOf(ctx.env);
  const asked = { id, accountId, asset, amountMicros, rail, reference, createdAt: ctx.startedMs };
  if (!isSame(await recordDeposit(db, asked), asked)) {
    throw new OctoError(
      "idempotency_conflict",
      `Cannot take deposit ${id}: a notice of this id told of another one`,
    );
  }
  const credit = bookOf(accountId, "available");
  const result = await object.move({
    id: `deposit:${id}`,
    kind: "deposit",
    reason: `${rail} ${reference}`,
    legs: [{ debit: systemBooks.mint, credit, asset, micros: amountMicros }],
  });
  if (result.kind === "refused") {
    throw new OctoError(result.code, `Cannot take deposit ${id}: ${result.reason}`);
  }
}

function isSame(stored: Deposit, asked: Deposit): boolean {
  return (
    stored.accountId === asked.accountId &&
    stored.asset === asked.asset &&
    stored.amountMicros === asked.amountMicros &&
    stored.rail === asked.rail &&
    stored.reference === asked.reference
  );
}

export const depositNoticeDescription: RouteDescription = {
  name: "takeDepositNotice",
  method: "post",
  path: noticePath,
  summary: "Tell of money that was taken for an account",
  about:
    "For whoever takes it: signed as Standard Webhooks 1.0.0 have it, under a secret of " +
    "`OCTO_DEPOSIT_SECRETS`. Each `webhook-id` counts once; send it again until it answers 200. " +
    "Notices of another type than `deposit.confirmed` change nothing.",
  access: "anyone",
  headers: {
    "webhook-id": "The notice's own id",
    "webhook-timestamp": "When it was sent, in unix seconds: at most five minutes ago",
    "webhook-signature": "`v1,` and the HMAC-SHA-256 of id, time and body in base64",
  },
  body: z.looseObject({ type: z.string(), data: z.record(z.string(), z.unknown()) }).meta({
    id: "NewDepositNotice",
    examples: [
      {
        type: "deposit.confirmed",
        data: {
          account_id: "acct_0000000000000000000000",
          amount_micros: 5_000_000,
          rail: "card",
          reference: "invoice 42",
        },
      },
    ],
  }),
  answer: takenSchema,
  errors: [
    "invalid_request",
    "invalid_api_key",
    "not_found",
    "idempotency_conflict",
    "rate_limit_exceeded",
    "internal",
  ],
};

/** What came in, for whoever it came to. */
export const depositRoutes: readonly Route[] = [
  defineRoute({
    name: "listDeposits",
    method: "get",
    path: "/api/v1/deposits",
    summary: "List your account's deposits, newest first",
    access: "money:read",
    query: z.strictObject(pageQuery),
    answer: pageSchema(depositSchema).meta({ id: "DepositPage" }),
    async handle({ ctx, caller: { accountId }, query }) {
      await using db = databaseOf(ctx.env);
      return pageToJson(await listDeposits(db, { accountId, ...query }), depositToJson);
    },
  }),
];

function depositToJson(row: Deposit): z.infer<typeof depositSchema> {
  return {
    object: "deposit",
    id: row.id,
    account_id: row.accountId,
    asset: row.asset,
    amount_micros: microsToJson(row.amountMicros),
    rail: row.rail,
    reference: row.reference,
    created_at: timeToJson(row.createdAt),
  };
}
