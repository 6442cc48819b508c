import { databaseOf } from "../../database.ts";
import { recordAlerts } from "../../db/money/alerts.ts";
import { recordSettlements } from "../../db/ledger/tasks.ts";
import type { Env } from "../../env.ts";
import type { Books } from "../books.ts";
import { logAlerts } from "../limits/alert-row.ts";
import type { Incoming } from "../money/move-money.ts";
import type { Debts } from "./debts.ts";
import { readPayload } from "./outbox-payload.ts";

/**
 * What an account has decided and others have yet to hear: the ledger in libSQL and the providers'
 * accounts.
 * O1. A row is written in the transaction of what it tells of, and removed only after the ledger
 *     has taken it, in the transaction that keeps what others have not taken (debts.ts).
 * O2. Both take a row any number of times and count it once: by primary keys there, by sequence
 *     here.
 * O3. The ledger comes first, and all wait for it; nobody waits for another account.
 */

/**
 * Rows handed over at once: with 64 tasks a row at most, about a megabyte of JSON. This may grow
 * and never shrink: what was told is told again with what was told beside it (D1 of debts.ts).
 */
const rowsAtOnce = 32;

/**
 * Hands everything in the outbox over, oldest first (O1); gives how many transfers there were.
 * Throws where the ledger is away.
 */
export async function drainOutbox(books: Books, env: Env, debts: Debts): Promise<number> {
  const { store } = books;
  await using db = databaseOf(env);
  for (let transfers = 0; ;) {
    const rows = store.readOutbox(rowsAtOnce);
    const last = rows.at(-1);
    if (last === undefined) return transfers;
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
    const given = rowsByAccount(payloads);
    const left = await debts.tell(given);
    books.durably(() => {
      for (const [accountId, how] of left) debts.keep(accountId, given.get(accountId) ?? [], how);
      store.clearOutbox(last.seq);
    });
    for (const { settlements } of payloads) transfers += settlements.transfers.length;
  }
}

function rowsByAccount(
  payloads: readonly {
    readonly seq: number;
    readonly earnings: readonly (Omit<Incoming, "seq"> & { readonly accountId: string })[];
  }[],
): ReadonlyMap<string, readonly Incoming[]> {
  const rows = new Map<string, Incoming[]>();
  for (const { seq, earnings } of payloads) {
    for (const { accountId, ...given } of earnings) {
      const list = rows.get(accountId) ?? [];
      list.push({ seq, ...given });
      rows.set(accountId, list);
    }
  }
  return rows;
}
