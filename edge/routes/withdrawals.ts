import { z } from "zod";
import { assets, systemBooks, type Asset } from "../../shared/assets.ts";
import { sha256Hex } from "../../shared/crypto/bytes.ts";
import { OctoError } from "../../shared/errors.ts";
import { newId } from "../../shared/ids.ts";
import type { PendRequest } from "../billing/pending-money.ts";
import type { Context } from "../context.ts";
import { databaseOf } from "../database.ts";
import { withdrawalStates } from "../db/schema-money.ts";
import {
  changeWithdrawal,
  createWithdrawal,
  findWithdrawal,
  listWithdrawals,
  type Withdrawal,
  type WithdrawalState,
} from "../db/withdrawals.ts";
import {
  accountIdField,
  amountField,
  microsField,
  microsToJson,
  pageQuery,
  pageSchema,
  pageToJson,
  timeField,
  timeToJson,
} from "./fields.ts";
import { knownAccount } from "./known-account.ts";
import { defineRoute, type Route } from "./route.ts";

/**
 * Money on its way out. Invariants:
 * W1. It is set aside before it is queued, and nobody can spend it meanwhile.
 * W2. It leaves once: by the payout that took it, or back to its account.
 * W3. Amounts above the four-eyes limit wait for an operator; whoever owns the account has asked.
 */

const path = "/api/v1/withdrawals";
const params = z.strictObject({
  id: z.string().regex(/^wdr_[0-9A-Za-z]{22,64}$/, "not the id of a withdrawal"),
});
/** In lower case, so that an address has one spelling; the checksum of EIP-55 is not asked for. */
export const addressField = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, "an EVM address: 0x and 40 hexadecimal digits")
  .toLowerCase();

const withdrawalSchema = z
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
    created_at: timeField,
    updated_at: timeField,
  })
  .meta({ id: "Withdrawal", description: "Money that leaves the network." });

const newWithdrawalSchema = z
  .strictObject({
    asset: z.enum(assets).default("CREDIT"),
    amount_micros: amountField,
    address: addressField,
  })
  .meta({
    id: "NewWithdrawal",
    examples: [{ amount_micros: 5_000_000, address: "0x52908400098527886e0f7030069857d2e4169ee7" }],
  });

/** Withdrawals, for whose money it is and for operators. */
export const withdrawalRoutes: readonly Route[] = [
  defineRoute({
    name: "createWithdrawal",
    method: "post",
    path,
    summary: "Take money out",
    about:
      "It is set aside at once, and paid by the next payout; large amounts wait for an operator " +
      "first. Earnings can leave once their dispute window is over.",
    access: "money:write",
    headers: { "idempotency-key": "Takes the money once, however often the request is sent" },
    body: newWithdrawalSchema,
    status: 201,
    answer: withdrawalSchema,
    errors: ["insufficient_quota", "idempotency_conflict", "not_found"],
    async handle({ ctx, caller: { accountId }, body, idempotencyKey }) {
      const row: Withdrawal = {
        id:
          idempotencyKey === null
            ? newId("wdr")
            : `wdr_${await sha256Hex(`${accountId} ${idempotencyKey}`)}`,
        accountId,
        asset: body.asset,
        amountMicros: BigInt(body.amount_micros),
        address: body.address,
        state: "waiting",
        payoutId: null,
        createdAt: ctx.startedMs,
        updatedAt: ctx.startedMs,
      };
      await setAside(ctx, row);
      await using db = databaseOf(ctx.env);
      await createWithdrawal(db, row);
      if (row.amountMicros <= ctx.config.fourEyesMicros) await queue(ctx, row.id);
      return withdrawalToJson(await known(ctx, { id: row.id, accountId }));
    },
  }),
  defineRoute({
    name: "listWithdrawals",
    method: "get",
    path,
    summary: "List your account's withdrawals, newest first",
    access: "money:read",
    query: z.strictObject({ ...pageQuery, state: z.enum(withdrawalStates).optional() }),
    answer: pageSchema(withdrawalSchema).meta({ id: "WithdrawalPage" }),
    async handle({ ctx, caller, query }) {
      await using db = databaseOf(ctx.env);
      // Operators see everybody's: they decide.
      const isOperator = caller.permissions.has("network:operate");
      const accountId = isOperator ? undefined : caller.accountId;
      return pageToJson(await listWithdrawals(db, { ...query, accountId }), withdrawalToJson);
    },
  }),
  defineRoute({
    name: "readWithdrawal",
    method: "get",
    path: `${path}/:id`,
    summary: "Read one of your withdrawals",
    access: "money:read",
    params,
    answer: withdrawalSchema,
    errors: ["not_found"],
    async handle({ ctx, caller: { accountId }, params: { id } }) {
      return withdrawalToJson(await known(ctx, { id, accountId }));
    },
  }),
  defineRoute({
    name: "cancelWithdrawal",
    method: "delete",
    path: `${path}/:id`,
    summary: "Take a withdrawal back that no payout has yet",
    access: "money:write",
    params,
    answer: withdrawalSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller: { accountId }, params: { id } }) {
      return withdrawalToJson(await giveBack(ctx, await known(ctx, { id, accountId })));
    },
  }),
  defineRoute({
    name: "approveWithdrawal",
    method: "post",
    path: `${path}/:id/approve`,
    summary: "Let a large withdrawal go",
    access: "network:operate",
    params,
    answer: withdrawalSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, params: { id } }) {
      const row = await known(ctx, { id });
      // An edge that died in between may have left it without its money set aside.
      if (row.state === "waiting") await setAside(ctx, row);
      await queue(ctx, id);
      return withdrawalToJson(await stateOf(ctx, id, ["queued", "paid out"]));
    },
  }),
  defineRoute({
    name: "rejectWithdrawal",
    method: "post",
    path: `${path}/:id/reject`,
    summary: "Give a withdrawal back to its account",
    access: "network:operate",
    params,
    answer: withdrawalSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, params: { id } }) {
      return withdrawalToJson(await giveBack(ctx, await known(ctx, { id })));
    },
  }),
];

/** What an account promises to the payout that will take a withdrawal. */
export function pendRequestOf(row: Withdrawal): PendRequest {
  return {
    id: row.id,
    kind: "withdrawal",
    reason: row.address,
    asset: row.asset as Asset,
    micros: row.amountMicros,
    from: "available",
    credit: systemBooks.payouts,
    expiresMs: null,
  };
}

/** W1. */
async function setAside(ctx: Context, row: Withdrawal): Promise<void> {
  const { object } = await knownAccount(ctx, row.accountId);
  const result = await object.pend(pendRequestOf(row));
  if (result.kind === "pending") return;
  const { amountMicros, asset } = row;
  throw new OctoError(
    result.code,
    `Cannot take ${amountMicros} micros of ${asset} out: ${result.reason}`,
  );
}

async function queue(ctx: Context, id: string): Promise<void> {
  await using db = databaseOf(ctx.env);
  await changeWithdrawal(db, { id, from: ["waiting"], to: "queued", atMs: ctx.startedMs });
}

/** W2: the registry first, because a payout takes what is queued there. */
async function giveBack(ctx: Context, row: Withdrawal): Promise<Withdrawal> {
  const { id, accountId } = row;
  await using db = databaseOf(ctx.env);
  const from = ["waiting", "queued"] as const;
  await changeWithdrawal(db, { id, from, to: "rejected", atMs: ctx.startedMs });
  const now = await stateOf(ctx, id, ["rejected"]);
  const { object } = await knownAccount(ctx, accountId);
  const result = await object.void(id);
  // Nothing was set aside for it, where an edge died in between.
  if (result.kind === "void" || result.code === "not_found") return now;
  throw new OctoError(result.code, `Cannot give ${id} back: ${result.reason}`);
}

async function stateOf(
  ctx: Context,
  id: string,
  wanted: readonly WithdrawalState[],
): Promise<Withdrawal> {
  const row = await known(ctx, { id });
  if (wanted.includes(row.state)) return row;
  const now = row.payoutId === null ? row.state : `in payout ${row.payoutId}`;
  throw new OctoError("conflict", `Cannot change the withdrawal ${id}: it is ${now}`);
}

async function known(
  ctx: Context,
  key: { readonly id: string; readonly accountId?: string },
): Promise<Withdrawal> {
  await using db = databaseOf(ctx.env);
  const row = await findWithdrawal(db, key);
  if (row === null) throw new OctoError("not_found", `There is no withdrawal ${key.id}`);
  return row;
}

function withdrawalToJson(row: Withdrawal): z.infer<typeof withdrawalSchema> {
  return {
    object: "withdrawal",
    id: row.id,
    account_id: row.accountId,
    asset: row.asset as Asset,
    amount_micros: microsToJson(row.amountMicros),
    address: row.address,
    state: row.state,
    payout_id: row.payoutId,
    created_at: timeToJson(row.createdAt),
    updated_at: timeToJson(row.updatedAt),
  };
}
