import { OctoError } from "../../../shared/errors.ts";
import type { Caller, Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { aloneMs, type Credit, givenAlone, recordCredit } from "../../db/money/credits.ts";
import { speakerOf } from "../speaker.ts";

/**
 * Who an operator is to the four-eyes rule: the account of the key. All keys of an account are one
 * operator's, so that a second or a rotated key neither gives more nor agrees with the first.
 */
export function operatorOf({ accountId }: Caller): string {
  return accountId;
}

/**
 * Counts credit against what one operator may give alone, before it is given; refuses what is more.
 * The same credit again, under its id, counts once.
 */
export async function giveAlone(
  ctx: Context,
  caller: Caller,
  credit: Pick<Credit, "id" | "accountId" | "asset" | "amountMicros">,
): Promise<void> {
  const row: Credit = {
    ...credit,
    operatorId: operatorOf(caller),
    keyId: speakerOf(caller),
    createdAt: ctx.startedMs,
  };
  await using db = databaseOf(ctx.env);
  const stored = await recordCredit(db, row, ctx.config.fourEyesMicros);
  if (stored === null) throw beyondAlone(ctx, row, await givenAlone(db, row));
  if (stored.amountMicros === row.amountMicros) return;
  throw new OctoError(
    "idempotency_conflict",
    `Cannot give ${row.amountMicros} micros to ${row.accountId}: the same Idempotency-Key gave ` +
      `${stored.amountMicros} micros`,
  );
}

function beyondAlone(
  ctx: Context,
  { amountMicros, asset, accountId }: Credit,
  { byOperator, toAccount }: Awaited<ReturnType<typeof givenAlone>>,
): OctoError {
  return new OctoError(
    "insufficient_scope",
    `Cannot give ${amountMicros} micros of ${asset} alone: in ${aloneMs / 3_600_000} hours one ` +
      `operator gives up to ${ctx.config.fourEyesMicros}, and an account gets no more in that ` +
      `way; you have given ${byOperator}, and ${accountId} got ${toAccount}. Ask by ` +
      "POST /api/v1/approvals, and another operator's key approves",
  );
}
