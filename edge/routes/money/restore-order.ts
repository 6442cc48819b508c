import { type Asset, ownerOf, systemBooks } from "../../../shared/assets.ts";
import { OctoError } from "../../../shared/errors.ts";
import type { Micros } from "../../../shared/money.ts";
import { resolutionKeptMs } from "../../billing/account-state.ts";
import { fingerprintOf } from "../../billing/money/move-money.ts";
import type { Pending } from "../../billing/money/pending-money.ts";
import type { RestoreOrder } from "../../billing/restoring/restore-state.ts";
import { closedSince, movesOf } from "../../db/ledger/account-ledger.ts";
import type { Database } from "../../db/database.ts";
import type { Transfer } from "../../db/ledger/ledger.ts";
import type { Difference } from "./account-difference.ts";

/** They go to the object in one call, which takes thirty megabytes (Workers, 2026-11). */
const remembered = 100_000;

/** All that an object takes over from the ledger and the registry. */
export async function restoreOrder(
  db: Database,
  difference: Difference,
  of: { readonly reason: string; readonly nowMs: number },
): Promise<RestoreOrder> {
  const { accountId } = difference;
  const sinceMs = of.nowMs - resolutionKeptMs;
  const limit = remembered + 1;
  const closed = await closedSince(db, { accountId, sinceMs, limit });
  const moved = await movesOf(db, { accountId, limit });
  assertFew("tasks of the last day", closed.length);
  assertFew("transfers for no task", moved.length);
  const pendings = pendingsOf(moved);
  assertPromised(difference, pendings);
  return {
    id: difference.id,
    reason: of.reason,
    expected: difference.account,
    journal: difference.ledger,
    balances: difference.books
      .filter(({ ledger }) => ledger !== 0n)
      .map(({ asset, bucket, ledger }) => ({ asset, bucket, micros: ledger })),
    told: difference.told.map(({ source, seq }) => ({ source, seq })),
    closed: closed.map(({ id: task, createdAt }) => ({ task, created_ms: createdAt })),
    mints: moved
      .filter(({ kind }) => kind === "mint")
      .map(({ id, amountMicros: micros }) => ({ id, micros })),
    moves: movesById(moved),
    pendings,
  };
}

function assertFew(what: string, count: number): void {
  if (count <= remembered) return;
  throw new OctoError("conflict", `Cannot restore it: it has more than ${remembered} ${what}`);
}

/** What is promised has to be known by its ids, or nobody could post it or give it back. */
function assertPromised({ books }: Difference, pendings: readonly Pending[]): void {
  const leftByAsset = new Map<string, Micros>();
  for (const { asset, bucket, ledger } of books) {
    if (bucket === "held") leftByAsset.set(asset, ledger);
  }
  for (const { asset, micros, state } of pendings) {
    if (state !== "pending") continue;
    leftByAsset.set(asset, (leftByAsset.get(asset) ?? 0n) - micros);
  }
  for (const [asset, micros] of leftByAsset) {
    if (micros === 0n) continue;
    const message = `Cannot restore it: ${micros} micros of ${asset} are held under no known id`;
    throw new OctoError("conflict", message);
  }
}

const stepPattern = /^(.+):(pend|post|rest|void|expired)$/;

/** What was promised, by the transfers that set it aside, passed it on or gave it back. */
function pendingsOf(moved: readonly Transfer[]): Pending[] {
  const byId = new Map<string, Pending>();
  for (const { id: stepId, kind, reason, ...row } of moved) {
    const [, id, step] = stepPattern.exec(stepId) ?? [];
    if (id === undefined || step === undefined) continue;
    const { amountMicros: micros, debitAccount, creditAccount } = row;
    if (step === "pend") {
      const from = ownerOf(debitAccount)?.bucket ?? "available";
      const asset = row.asset as Asset;
      // Whom it goes to is in no transfer before it has gone there.
      const credit = creditOf(kind);
      const terms = { id, kind, reason, asset, micros, from, credit, expiresMs: null };
      byId.set(id, { ...terms, state: "pending", posted: 0n });
      continue;
    }
    const pending = byId.get(id);
    if (pending === undefined) continue;
    if (step === "post") {
      byId.set(id, { ...pending, state: "posted", posted: micros, credit: creditAccount });
    } else if (step === "rest") byId.set(id, { ...pending, state: "posted" });
    else byId.set(id, { ...pending, state: step === "void" ? "void" : "expired" });
  }
  return [...byId.values()];
}

/** Where what is promised of a kind goes to; all that is promised so far are withdrawals. */
function creditOf(kind: string): string {
  if (kind === "withdrawal") return systemBooks.payouts;
  throw new OctoError("conflict", `Cannot restore it: nobody knows where a ${kind} was to go`);
}

/** Each move under its id. Of several transfers `:1`, `:2` and so on are of one move. */
function movesById(moved: readonly Transfer[]): RestoreOrder["moves"] {
  const rowsById = new Map<string, Transfer[]>();
  for (const row of moved) {
    if (row.kind === "mint" || stepPattern.test(row.id)) continue;
    const [, id] = /^(.+):\d+$/.exec(row.id) ?? [];
    // A single transfer may be called so as well: both are remembered.
    for (const name of id === undefined ? [row.id] : [row.id, id]) {
      const rows = rowsById.get(name) ?? [];
      rows.push(row);
      rowsById.set(name, rows);
    }
  }
  return [...rowsById].flatMap(([id, rows]) => {
    const [first] = rows;
    if (first === undefined) return [];
    const legs = rows.map((row) => ({
      debit: row.debitAccount,
      credit: row.creditAccount,
      asset: row.asset as Asset,
      micros: row.amountMicros,
    }));
    const { kind, reason } = first;
    return [{ id, fingerprint: fingerprintOf({ id, kind, reason, legs }) }];
  });
}
