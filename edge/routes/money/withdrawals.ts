import { z } from "zod";
import { assets, systemBooks, type Asset } from "../../../shared/assets.ts";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { OctoError } from "../../../shared/errors.ts";
import { newId } from "../../../shared/ids.ts";
import type { PendRequest } from "../../billing/money/pending-money.ts";
import type { Caller, Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { withdrawalStates } from "../../db/schema-money.ts";
import {
  changeWithdrawal,
  createWithdrawal,
  findWithdrawal,
  listWithdrawals,
  type Withdrawal,
  type WithdrawalState,
} from "../../db/withdrawals.ts";
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
} from "../fields.ts";
import { knownAccount } from "../known-account.ts";
import { defineRoute, type Route } from "../route.ts";

/**
 * Money on its way out. Invariants:
 * W1. It is registered before it is set aside, so that an edge that dies in between leaves nothing
 *     aside that nobody sees; and set aside before it is queued.
 * W2. It leaves once: by the payout that took it, or back to its account.
 * W3. Amounts above the four-eyes limit wait for an operator of another account.
 * W4. Whoever rejects writes that first, and gives the money back then; whoever sets money aside
 *     looks afterwards whether it was rejected. So one of the two sees the other.
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
    errors: ["insufficient_quota", "idempotency_conflict", "conflict", "not_found"],
    async handle({ ctx, caller: { accountId }, body, idempotencyKey }) {
      const asked: Withdrawal = {
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
      await using db = databaseOf(ctx.env);
      await createWithdrawal(db, asked);
      const row = await known(ctx, { id: asked.id, accountId });
      assertSame(row, asked);
      return withdrawalToJson(await begin(ctx, row));
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
    about: "An operator does not decide on money of the account that is the operator's own.",
    access: "network:operate",
    params,
    answer: withdrawalSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, params: { id } }) {
      const row = await known(ctx, { id });
      assertOtherAccount(caller, row);
      // An edge that died in between may have left it without its money set aside.
      if (row.state === "waiting") await takeUp(ctx, row, { isApproved: true });
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
function pendRequestOf(row: Withdrawal): PendRequest {
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

/** W3. */
function assertOtherAccount(caller: Caller, { id, accountId }: Withdrawal): void {
  if (caller.accountId !== accountId) return;
  throw new OctoError(
    "insufficient_scope",
    `Cannot let ${id} go: its money is your own account's, and another operator decides`,
  );
}

/** Under one Idempotency-Key there is one withdrawal. */
function assertSame(row: Withdrawal, asked: Withdrawal): void {
  const { asset, amountMicros, address } = row;
  const isSame =
    asset === asked.asset && amountMicros === asked.amountMicros && address === asked.address;
  if (isSame) return;
  throw new OctoError(
    "idempotency_conflict",
    `The same Idempotency-Key took ${amountMicros} micros of ${asset} out to ${address}`,
  );
}

/** What comes of a withdrawal that was asked for, now or before under the same key. */
async function begin(ctx: Context, row: Withdrawal): Promise<Withdrawal> {
  if (row.state === "rejected") {
    // It had its money, and gave it back; or it never had.
    if (await returnMoney(ctx, row)) return row;
    throw new OctoError("conflict", `The withdrawal ${row.id} was refused; ask under another key`);
  }
  if (row.state !== "waiting") return row;
  try {
    return await takeUp(ctx, row, { isApproved: row.amountMicros <= ctx.config.fourEyesMicros });
  } catch (error) {
    if (error instanceof OctoError && error.code === "insufficient_quota") await reject(ctx, row);
    throw error;
  }
}

/** W1: sets a withdrawal's money aside, and queues it where it may go. */
async function takeUp(
  ctx: Context,
  row: Withdrawal,
  { isApproved }: { readonly isApproved: boolean },
): Promise<Withdrawal> {
  const { id, accountId, amountMicros, asset } = row;
  const { object } = await knownAccount(ctx, accountId);
  const result = await object.pend(pendRequestOf(row));
  if (result.kind === "refused") {
    throw new OctoError(
      result.code,
      `Cannot take ${amountMicros} micros of ${asset} out: ${result.reason}`,
    );
  }
  // One that has been given back is not set aside again.
  if (isApproved && result.pending.state === "pending") {
    await using db = databaseOf(ctx.env);
    await changeWithdrawal(db, { id, from: ["waiting"], to: "queued", atMs: ctx.startedMs });
  }
  const now = await known(ctx, { id });
  if (now.state === "rejected") await returnMoney(ctx, now);
  return now;
}

/** W2: the registry first, because a payout takes what is queued there. */
async function giveBack(ctx: Context, row: Withdrawal): Promise<Withdrawal> {
  await reject(ctx, row);
  return stateOf(ctx, row.id, ["rejected"]);
}

/** W4. Does nothing where a payout has it, or had. */
async function reject(ctx: Context, row: Withdrawal): Promise<void> {
  const { id } = row;
  await using db = databaseOf(ctx.env);
  const from = ["waiting", "queued"] as const;
  await changeWithdrawal(db, { id, from, to: "rejected", atMs: ctx.startedMs });
  const now = await known(ctx, { id });
  if (now.state === "rejected") await returnMoney(ctx, now);
}

/** Gives the money of a rejected withdrawal back; false where it never was set aside. */
async function returnMoney(ctx: Context, { id, accountId }: Withdrawal): Promise<boolean> {
  const { object } = await knownAccount(ctx, accountId);
  const result = await object.void(id);
  if (result.kind === "void") return true;
  if (result.code === "not_found") return false;
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
