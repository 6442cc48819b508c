import { describeError } from "../shared/log.ts";
import type { Database } from "./db/database.ts";
import { checkLedger, ledgerStanding } from "./db/ledger/ledger-checks.ts";
import { lastRow } from "./db/ledger/ledger.ts";
import { edgeLog } from "./log.ts";

/** Two million transfers in five minutes are more than any network makes; after them it is due. */
const checksAtOnce = 20;

/**
 * Checks the ledger to its end, and tells the log of every fault, each time until it is gone. What
 * else the timer does goes on whatever becomes of it.
 */
export async function auditLedger(db: Database, nowMs: number): Promise<void> {
  try {
    for (let made = 0; made < checksAtOnce; made++) {
      const { through } = await checkLedger(db, nowMs);
      if (through >= (await lastRow(db))) break;
    }
    const { faults } = await ledgerStanding(db);
    for (const fault of faults) edgeLog("error", "the ledger does not add up", { fault });
  } catch (error) {
    edgeLog("error", "the ledger was not checked", { error: describeError(error) });
  }
}
