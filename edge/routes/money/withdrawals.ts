import { z } from "zod";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { OctoError } from "../../../shared/errors.ts";
import { newId } from "../../../shared/ids.ts";
import type { Caller, Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { withdrawalStates } from "../../db/schema/money.ts";
import { createWithdrawal, listWithdrawals, type Withdrawal } from "../../db/money/withdrawals.ts";
import { pageQuery, pageSchema, pageToJson } from "../fields.ts";
import { defineRoute, type Route } from "../route.ts";
import { speakerOf } from "../speaker.ts";
import { operatorOf } from "./four-eyes.ts";
import { beginWithdrawal, giveBack, knownWithdrawal, letGo } from "./withdraw.ts";
import {
  newWithdrawalSchema,
  withdrawalIdField,
  withdrawalSchema,
  withdrawalToJson,
} from "./withdrawal-schema.ts";

const path = "/api/v1/withdrawals";
const params = z.strictObject({ id: withdrawalIdField });

/** Withdrawals, for whose money it is and for operators. */
export const withdrawalRoutes: readonly Route[] = [
  defineRoute({
    name: "createWithdrawal",
    method: "post",
    path,
    summary: "Take money out",
    about:
      "It is set aside at once, and paid by the next payout; where more than the limit of four " +
      "eyes would have left your account, or for one address, in 24 hours it waits for an " +
      "operator first. An amount below the minimum is refused, a whole balance too. Earnings can " +
      "leave once their dispute window is over.",
    access: "money:write",
    headers: { "idempotency-key": "Takes the money once, however often the request is sent" },
    body: newWithdrawalSchema,
    status: 201,
    answer: withdrawalSchema,
    errors: ["insufficient_quota", "idempotency_conflict", "conflict", "not_found"],
    async handle({ ctx, caller, body, idempotencyKey }) {
      assertEnough(ctx, body);
      const { accountId } = caller;
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
        requestedBy: speakerOf(caller),
        approvedBy: null,
        queuedAt: null,
        returnedAt: null,
      };
      await using db = databaseOf(ctx.env);
      await createWithdrawal(db, asked);
      const row = await knownWithdrawal(ctx, { id: asked.id, accountId });
      assertSame(row, asked);
      return withdrawalToJson(await beginWithdrawal(ctx, row));
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
      return withdrawalToJson(await knownWithdrawal(ctx, { id, accountId }));
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
      return withdrawalToJson(await giveBack(ctx, await knownWithdrawal(ctx, { id, accountId })));
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
      const row = await knownWithdrawal(ctx, { id });
      assertOtherAccount(caller, row);
      return withdrawalToJson(await letGo(ctx, row, speakerOf(caller)));
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
      return withdrawalToJson(await giveBack(ctx, await knownWithdrawal(ctx, { id })));
    },
  }),
];

/** Each withdrawal is a leaf that somebody pays to claim: what is less than that never leaves. */
function assertEnough(ctx: Context, body: z.infer<typeof newWithdrawalSchema>): void {
  const { asset, amount_micros: micros } = body;
  const least = ctx.config.withdrawalMinMicros[asset];
  if (BigInt(micros) >= least) return;
  throw new OctoError(
    "invalid_request",
    `amount_micros: cannot take ${micros} micros of ${asset} out: the least is ${least}, as each ` +
      "withdrawal costs on chain; what is less stays to be spent here",
    { param: "amount_micros" },
  );
}

/** W3 of withdraw.ts. */
function assertOtherAccount(caller: Caller, { id, accountId }: Withdrawal): void {
  if (operatorOf(caller) !== accountId) return;
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
