import { describeError } from "../shared/log.ts";
import { databaseOf } from "./database.ts";
import type { Database } from "./db/database.ts";
import { checkLedger, ledgerStanding } from "./db/ledger-checks.ts";
import { listOnlineHubs } from "./db/workers.ts";
import type { Env } from "./env.ts";
import { edgeLog } from "./log.ts";
import { hubObject } from "./objects.ts";

/**
 * What the cron trigger does every few minutes: audits the ledger, and wakes the hubs that the
 * registry believes to have workers. A hub that was reset with nobody coming back finds its workers
 * gone and takes them offline.
 */
export async function runScheduled(env: Env): Promise<void> {
  await using db = databaseOf(env);
  await auditLedger(db);
  for (const hubId of await listOnlineHubs(db)) {
    try {
      await hubObject(env, hubId).wake();
    } catch (error) {
      edgeLog("warn", "hub did not wake", { hub: hubId, error: describeError(error) });
    }
  }
}

/** Hubs are woken whatever becomes of the audit. A fault is told of every time until it is gone. */
async function auditLedger(db: Database): Promise<void> {
  try {
    await checkLedger(db, Date.now());
    const { faults } = await ledgerStanding(db);
    for (const fault of faults) edgeLog("error", "the ledger does not add up", { fault });
  } catch (error) {
    edgeLog("error", "the ledger was not checked", { error: describeError(error) });
  }
}
