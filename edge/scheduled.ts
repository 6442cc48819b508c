import { describeError } from "../shared/log.ts";
import { auditLedger } from "./audit-ledger.ts";
import { databaseOf } from "./database.ts";
import { forgetStrangers } from "./db/people/people.ts";
import { listOnlineHubs } from "./db/network/workers.ts";
import type { Env } from "./env.ts";
import { edgeLog } from "./log.ts";
import { hubObject } from "./objects.ts";
import { finishMoney } from "./routes/money/finish-money.ts";

/**
 * What the cron trigger does every few minutes: audits the ledger, finishes what
 * an edge that died left half done of money, forgets people who came once and
 * are in no account, and wakes the hubs that the registry believes to have workers. A hub that was
 * reset with nobody coming back finds its workers gone and takes them offline.
 */
export async function runScheduled(env: Env): Promise<void> {
  await using db = databaseOf(env);
  await auditLedger(db, Date.now());
  await finishMoney(env, db, Date.now());
  await forgetStrangers(db, Date.now());
  for (const hubId of await listOnlineHubs(db)) {
    try {
      await hubObject(env, hubId).wake();
    } catch (error) {
      edgeLog("warn", "hub did not wake", { hub: hubId, error: describeError(error) });
    }
  }
}
