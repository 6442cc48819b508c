import { OctoError } from "../../../shared/errors.ts";
import { describeError } from "../../../shared/log.ts";
import { undoneApprovals } from "../../db/money/approvals.ts";
import type { Database } from "../../db/database.ts";
import {
  endWithdrawal,
  unreturnedWithdrawals,
  type Withdrawal,
  withdrawalsNotSetAside,
} from "../../db/money/withdrawals.ts";
import { configOf, type Env } from "../../env.ts";
import { edgeLog } from "../../log.ts";
import { carryOut } from "./carry-out.ts";
import { beginWithdrawal, returnMoney, type Withdrawing } from "./withdraw.ts";

/** No request lives so long: what is not done by then was left by an edge that died. */
const leftMs = 10 * 60_000;
/**
 * A withdrawal is set aside within seconds of its row; and where its request still is at it, the
 * two do it once together (W4 of withdraw.ts).
 */
const notBegunMs = 60_000;
/** What one run of the timer has time for; the rest is for the next ones. */
const atOnce = 100;

/**
 * Finishes what an edge that died has left half done and nobody asks for again: credit that two
 * operators agreed on is given, what is to be withdrawn is set aside (W1 of withdraw.ts), and the
 * money of rejected and cancelled withdrawals returns (W4).
 * Each is done under an id of its own, so that doing it twice changes nothing.
 */
export async function finishMoney(env: Env, db: Database, nowMs: number): Promise<void> {
  const ctx: Withdrawing = { env, config: configOf(env), startedMs: nowMs };
  const left = { beforeMs: nowMs - leftMs, limit: atOnce };
  try {
    for (const row of await undoneApprovals(db, left)) {
      await orTell("an approval is not carried out", row.id, () => carryOut(ctx, row));
    }
    const notBegun = { beforeMs: nowMs - notBegunMs, limit: atOnce };
    for (const row of await withdrawalsNotSetAside(db, notBegun)) {
      await orTell("a withdrawal is not set aside", row.id, () => unlessTooLittle(ctx, row));
    }
    for (const row of await unreturnedWithdrawals(db, left)) {
      await orTell("a withdrawal is not given back", row.id, async () => {
        await returnMoney(ctx, row);
        await endWithdrawal(db, row, nowMs);
      });
    }
  } catch (error) {
    edgeLog("error", "money on its way was not looked at", { error: describeError(error) });
  }
}

/** Goes on with a withdrawal; one that its account cannot cover ends as rejected. */
async function unlessTooLittle(ctx: Withdrawing, row: Withdrawal): Promise<void> {
  try {
    await beginWithdrawal(ctx, row);
  } catch (error) {
    if (!(error instanceof OctoError) || error.code !== "insufficient_quota") throw error;
  }
}

/** What fails is told to the log each time, and tried again. */
async function orTell(what: string, id: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    edgeLog("error", what, { id, error: describeError(error) });
  }
}
