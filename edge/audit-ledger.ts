import { describeError } from "../shared/log.ts";
import type { Database } from "./db/database.ts";
import { checkLedger, ledgerStanding } from "./db/ledger-checks.ts";
import { edgeLog } from "./log.ts";

/**
 * Checks the ledger, and tells the log of every fault, each time until it is gone. What else the
 * timer does goes on whatever becomes of it.
 */
export async function auditLedger(db: Database, nowMs: number): Promise<void> {
  try {
    await checkLedger(db, nowMs);
    const { faults } = await ledgerStanding(db);
    for (const fault of faults) edgeLog("error", "the ledger does not add up", { fault });
  } catch (error) {
    edgeLog("error", "the ledger was not checked", { error: describeError(error) });
  }
}
