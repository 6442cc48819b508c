import { databaseOf } from "../../database.ts";
import { recordAlerts } from "../../db/money/alerts.ts";
import { recordSettlements } from "../../db/ledger/tasks.ts";
import type { Env } from "../../env.ts";
import type { AccountStore } from "../account-store.ts";
import { logAlerts } from "../limits/alert-row.ts";
import type { Incoming } from "../money/move-money.ts";
import { readPayload } from "./outbox-payload.ts";

/**
 * What an account has decided and others have yet to hear: the ledger in libSQL and the providers'
 * accounts.
 * O1. A row is written in the transaction of what it tells of, and removed only after both have
 *     taken it.
 * O2. Both take a row any number of times and count it once: by primary keys there, by sequence
 *     here.
 */

/** Rows handed over at once: with 64 tasks a row at most, about a megabyte of JSON. */
const rowsAtOnce = 32;

/** Tells an account what it is given by these rows of the outbox. */
export type Earn = (accountId: string, rows: Incoming[]) => Promise<unknown>;

/**
 * Hands everything in the outbox over, oldest first (O1). Throws where a party cannot take it now.
 */
export async function drainOutbox(store: AccountStore, env: Env, earn: Earn): Promise<void> {
  await using db = databaseOf(env);
  for (;;) {
    const rows = store.readOutbox(rowsAtOnce);
    const last = rows.at(-1);
    if (last === undefined) return;
    const payloads = rows.map((row) => ({ seq: row.seq, ...readPayload(row.payload) }));
    await recordSettlements(db, {
      tasks: payloads.flatMap((payload) => payload.settlements.tasks),
      attempts: payloads.flatMap((payload) => payload.settlements.attempts),
      transfers: payloads.flatMap((payload) => payload.settlements.transfers),
      receipts: payloads.flatMap((payload) => payload.settlements.receipts),
    });
    const alerts = payloads.flatMap((payload) => payload.alerts);
    await recordAlerts(db, alerts);
    logAlerts(alerts);
    const rowsByAccount = new Map<string, Incoming[]>();
    for (const { seq, earnings } of payloads) {
      for (const { accountId, ...given } of earnings) {
        const list = rowsByAccount.get(accountId) ?? [];
        list.push({ seq, ...given });
        rowsByAccount.set(accountId, list);
      }
    }
    for (const [accountId, list] of rowsByAccount) await earn(accountId, list);
    store.clearOutbox(last.seq);
  }
}
