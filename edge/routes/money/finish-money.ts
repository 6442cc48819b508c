import { describeError } from "../../../shared/log.ts";
import type { Context } from "../../context.ts";
import { undoneApprovals } from "../../db/money/approvals.ts";
import type { Database } from "../../db/database.ts";
import { endWithdrawal, unreturnedWithdrawals } from "../../db/money/withdrawals.ts";
import type { Env } from "../../env.ts";
import { edgeLog } from "../../log.ts";
import { carryOut } from "./carry-out.ts";
import { returnMoney } from "./withdraw.ts";

/** No request lives so long: what is not done by then was left by an edge that died. */
const leftMs = 10 * 60_000;
/** What one run of the timer has time for; the rest is for the next ones. */
const atOnce = 100;

/**
 * Finishes what an edge that died has left half done and nobody asks for again: credit that two
 * operators agreed on is given, and the money of rejected withdrawals returns (W4 of withdraw.ts).
 * Each is done under an id of its own, so that doing it twice changes nothing.
 */
export async function finishMoney(env: Env, db: Database, nowMs: number): Promise<void> {
  const ctx: Pick<Context, "env"> = { env };
  const left = { beforeMs: nowMs - leftMs, limit: atOnce };
  try {
    for (const row of await undoneApprovals(db, left)) {
      await orTell("an approval is not carried out", row.id, () => carryOut(ctx, row));
    }
    for (const row of await unreturnedWithdrawals(db, left)) {
      await orTell("a rejected withdrawal is not given back", row.id, async () => {
        await returnMoney(ctx, row);
        await endWithdrawal(db, { id: row.id, atMs: nowMs });
      });
    }
  } catch (error) {
    edgeLog("error", "money on its way was not looked at", { error: describeError(error) });
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
