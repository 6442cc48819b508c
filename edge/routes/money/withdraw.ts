import { type Asset, systemBooks } from "../../../shared/assets.ts";
import { OctoError } from "../../../shared/errors.ts";
import type { PendRequest } from "../../billing/money/pending-money.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import {
  approveWithdrawal,
  findWithdrawal,
  queueWithdrawal,
  rejectWithdrawal,
  type Withdrawal,
  type WithdrawalState,
} from "../../db/money/withdrawals.ts";
import { knownAccount } from "../known-account.ts";

/**
 * Money on its way out. Invariants:
 * W1. It is registered before it is set aside, so that an edge that dies in between leaves nothing
 *     aside that nobody sees; and set aside before it is queued.
 * W2. It leaves once: by the payout that took it, or back to its account.
 * W3. What would bring that which left without an operator above the four-eyes limit, from one
 *     account or to one address in 24 hours, waits for an operator of another account.
 * W4. Whoever rejects writes that first, and gives the money back then; whoever sets money aside
 *     looks afterwards whether it was rejected. So one of the two sees the other; and where one of
 *     them dies, the timer of finish-money.ts gives it back.
 */

/** What comes of a withdrawal that was asked for, now or before under the same key. */
export async function beginWithdrawal(ctx: Context, row: Withdrawal): Promise<Withdrawal> {
  if (row.state === "rejected") {
    // It had its money, and gave it back; or it never had.
    if (await returnMoney(ctx, row)) return row;
    throw new OctoError("conflict", `The withdrawal ${row.id} was refused; ask under another key`);
  }
  if (row.state !== "waiting") return row;
  try {
    return await takeUp(ctx, row, null);
  } catch (error) {
    if (error instanceof OctoError && error.code === "insufficient_quota") await reject(ctx, row);
    throw error;
  }
}

/** Lets a withdrawal go as an operator's key wants it. */
export async function letGo(
  ctx: Context,
  row: Withdrawal,
  approvedBy: string,
): Promise<Withdrawal> {
  // An edge that died in between may have left it without its money set aside.
  if (row.state === "waiting") await takeUp(ctx, row, approvedBy);
  return stateOf(ctx, row.id, ["queued", "paid out"]);
}

/** W2: the registry first, because a payout takes what is queued there. */
export async function giveBack(ctx: Context, row: Withdrawal): Promise<Withdrawal> {
  await reject(ctx, row);
  return stateOf(ctx, row.id, ["rejected"]);
}

/** Gives the money of a rejected withdrawal back; false where it never was set aside. */
export async function returnMoney(
  ctx: Pick<Context, "env">,
  { id, accountId }: Withdrawal,
): Promise<boolean> {
  const { object } = await knownAccount(ctx, accountId);
  const result = await object.void(id);
  if (result.kind === "void") return true;
  if (result.code === "not_found") return false;
  throw new OctoError(result.code, `Cannot give ${id} back: ${result.reason}`);
}

/** A withdrawal, of one account where that is named; throws `not_found`. */
export async function knownWithdrawal(
  ctx: Context,
  key: { readonly id: string; readonly accountId?: string },
): Promise<Withdrawal> {
  await using db = databaseOf(ctx.env);
  const row = await findWithdrawal(db, key);
  if (row === null) throw new OctoError("not_found", `There is no withdrawal ${key.id}`);
  return row;
}

/** W1: sets a withdrawal's money aside, and queues it where it may go (W3). */
async function takeUp(
  ctx: Context,
  row: Withdrawal,
  approvedBy: string | null,
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
  if (result.pending.state === "pending") {
    await using db = databaseOf(ctx.env);
    const atMs = ctx.startedMs;
    if (approvedBy !== null) await approveWithdrawal(db, { id, approvedBy, atMs });
    else await queueWithdrawal(db, row, { limitMicros: ctx.config.fourEyesMicros, atMs });
  }
  const now = await knownWithdrawal(ctx, { id });
  if (now.state === "rejected") await returnMoney(ctx, now);
  return now;
}

/** W4. Does nothing where a payout has it, or had. */
async function reject(ctx: Context, { id }: Withdrawal): Promise<void> {
  await using db = databaseOf(ctx.env);
  await rejectWithdrawal(db, { id, atMs: ctx.startedMs });
  const now = await knownWithdrawal(ctx, { id });
  if (now.state === "rejected") await returnMoney(ctx, now);
}

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

async function stateOf(
  ctx: Context,
  id: string,
  wanted: readonly WithdrawalState[],
): Promise<Withdrawal> {
  const row = await knownWithdrawal(ctx, { id });
  if (wanted.includes(row.state)) return row;
  const now = row.payoutId === null ? row.state : `in payout ${row.payoutId}`;
  throw new OctoError("conflict", `Cannot change the withdrawal ${id}: it is ${now}`);
}
