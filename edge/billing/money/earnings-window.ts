import { assert } from "../../../shared/assert.ts";
import { bookOf } from "../../../shared/assets.ts";
import type { Micros } from "../../../shared/money.ts";
import type { AccountState, Transfer } from "../account-state.ts";

/**
 * What workers earn is held for a while before it can leave the network, so that what was earned by
 * a fraud can still be taken back. Invariants:
 * E1. The lots add up to what is earned, to the micro.
 * E2. Credit of a lot becomes available when the lot's time has come, and before only to pay for
 *     tasks: as much as is short, from the oldest lots.
 * E3. It becomes available by transfers, in the transaction of what it pays for and before that.
 */

/** The clock of what is earned. */
export interface Window {
  readonly nowMs: number;
  /** How long earnings wait. */
  readonly disputeMs: number;
}

/** What changed: its transfers, and the lots that are to be stored. */
export interface Released {
  readonly transfers: readonly Transfer[];
  readonly lots: readonly number[];
}

/** A window has at most so many lots, whatever was earned in it: ten minutes each in a day. */
const lotsMax = 144;

/** Adds to what is earned; gives the lot it is in (E1). */
export function addEarned(state: AccountState, micros: Micros, at: Window): number {
  // A lot of nothing would be due for ever.
  assert(micros > 0n, `${micros} micros are earned`);
  const lotMs = Math.max(1, Math.floor(at.disputeMs / lotsMax));
  const untilMs = Math.ceil((at.nowMs + at.disputeMs) / lotMs) * lotMs;
  state.earned += micros;
  state.lots.set(untilMs, (state.lots.get(untilMs) ?? 0n) + micros);
  return untilMs;
}

/** Takes from what is earned, the oldest first; gives the lots it was in (E1). */
export function takeEarned(state: AccountState, micros: Micros): readonly number[] {
  let left = micros;
  const touched: number[] = [];
  for (const untilMs of inOrder(state)) {
    if (left === 0n) break;
    const lot = state.lots.get(untilMs) ?? 0n;
    const part = lot < left ? lot : left;
    left -= part;
    touched.push(untilMs);
    if (part === lot) state.lots.delete(untilMs);
    else state.lots.set(untilMs, lot - part);
  }
  state.earned -= micros;
  return touched;
}

/** Makes available what has waited long enough. */
export function releaseDue(state: AccountState, nowMs: number): Released {
  let due = 0n;
  for (const [untilMs, micros] of state.lots) if (untilMs <= nowMs) due += micros;
  return release(state, due, nowMs);
}

/** Makes available what tasks have cost more than was (E2). */
export function coverDeficit(state: AccountState, nowMs: number): Released {
  const deficit = -state.available;
  return release(state, deficit < state.earned ? deficit : state.earned, nowMs);
}

/** When the next lot is due, or null. */
export function nextReleaseMs(state: AccountState): number | null {
  let next: number | null = null;
  for (const untilMs of state.lots.keys()) if (untilMs < (next ?? Infinity)) next = untilMs;
  return next;
}

function release(state: AccountState, micros: Micros, nowMs: number): Released {
  if (micros <= 0n) return { transfers: [], lots: [] };
  const { accountId } = state;
  const lots = takeEarned(state, micros);
  state.available += micros;
  const transfer: Transfer = {
    // Its place in the journal: what releases comes first in a transaction (E3), and only once.
    id: `release:${accountId}:${state.journal.seq + 1}`,
    taskId: null,
    kind: "release",
    debit: bookOf(accountId, "earned"),
    credit: bookOf(accountId, "available"),
    asset: "CREDIT",
    micros,
    createdMs: nowMs,
    reason: null,
  };
  return { transfers: [transfer], lots };
}

function inOrder(state: AccountState): number[] {
  return [...state.lots.keys()].sort((a, b) => a - b);
}
