import type { Micros } from "../../../shared/money.ts";
import type { AccountState } from "../account-state.ts";
import { freeCredit } from "../money/buckets.ts";
import { isLimited } from "../limits/limit-chain.ts";
import { type LeaseAsk, type LeaseGrant, leaseMs, type LeaseReport } from "./lease-terms.ts";
import { holdMs, type Terms } from "../ticket.ts";

/**
 * The account's side of credit leases; the other is in lease-book.ts. Invariants:
 * L1. A lease sets its whole limit and its tasks aside when it is granted: leased credit cannot be
 *     held or leased again.
 * L2. An isolate issues tickets of a lease for at most its limit, with at most its tasks running,
 *     and only in its time. Each side counts that on a clock of its own, the isolate from before it
 *     asked, so that no two clocks need agree.
 * L3. What comes back is the limit of each closed task, and what was never issued once the isolate
 *     says that it issues no more: each of them once. Room comes back with it, but for the tasks
 *     that have not ended.
 * L4. What nobody tells of comes back when the last task that it may have paid for has expired.
 * L5. Whoever revokes a key, suspends an account or sets a limit waits until no lease of it can be
 *     issued from.
 * L6. Leases are memory, as holds are, and cost no write: one that its object forgot is honoured
 *     likewise (A4). L5 holds for those too: until when there may be leases is stored, roughly.
 */
export interface Lease {
  readonly id: string;
  readonly keyId: string;
  readonly limit: Micros;
  readonly tasksMax: number;
  /** Until then tickets may be issued. */
  readonly untilMs: number;
  /** Until then tasks of those tickets may be closed. */
  readonly expiresMs: number;
  /** What was issued in all, once the isolate has said so. */
  issued: Omit<LeaseReport, "id"> | null;
  closedMicros: Micros;
  closedTasks: number;
}

/** A lease is at most one part in so many of the credit and of the tasks that are free. */
const creditShare = 8n;
/** More than of the credit: tasks come back as fast as answers end, and credit with the lease. */
const tasksShare = 4;
/** Fewer tasks at a time are not worth a lease; small accounts hold task by task, exactly. */
const tasksMin = 4;
/** So many tasks like the one that asks have to fit. */
const likeTasksMin = 4n;

/** What a lease sets aside: credit. */
export function asideMicros({ limit, issued, closedMicros }: Lease): Micros {
  const left = (issued?.micros ?? limit) - closedMicros;
  return left > 0n ? left : 0n;
}

/** What a lease sets aside: tasks that may run. */
export function asideTasks({ tasksMax, issued, closedTasks }: Lease): number {
  if (issued === null) return tasksMax;
  return Math.max(0, Math.min(issued.running, issued.tasks - closedTasks));
}

/** Takes up a lease. */
export function addLease(state: AccountState, lease: Lease): void {
  state.leases.set(lease.id, lease);
  state.held += asideMicros(lease);
  state.leasedTasks += asideTasks(lease);
}

/** Sets a lease aside (L1), or null where the account has too little that is free. */
export function grantLease(state: AccountState, ask: LeaseAsk, nowMs: number): LeaseGrant | null {
  if (state.keys.get(ask.keyId) !== "active" || state.status !== "active") return null;
  // Its tasks have to be seen one by one (G6).
  if (isLimited(state.limits, ask.keyId)) return null;
  expireLeases(state, nowMs);
  const known = state.leases.get(ask.id);
  if (known !== undefined) return { limit: known.limit, tasksMax: known.tasksMax };
  const limit = least(ask.limit, freeCredit(state) / creditShare);
  const freeTasks = state.concurrencyMax - state.holds.size - state.leasedTasks;
  const tasksMax = Math.min(ask.tasks, Math.floor(freeTasks / tasksShare));
  // Tasks that are free would fit any limit: an account without credit has no standing to lease.
  if (limit <= 0n || limit < ask.taskLimit * likeTasksMin || tasksMax < tasksMin) return null;
  const untilMs = nowMs + leaseMs;
  addLease(state, {
    id: ask.id,
    keyId: ask.keyId,
    limit,
    tasksMax,
    untilMs,
    expiresMs: untilMs + holdMs,
    issued: null,
    closedMicros: 0n,
    closedTasks: 0,
  });
  return { limit, tasksMax };
}

/** An isolate issues no more from a lease: what it did not issue returns (L3). */
export function returnLease(state: AccountState, report: LeaseReport): void {
  changeLease(state, report.id, (lease) => {
    const { micros, tasks, running } = report;
    lease.issued ??= { micros: least(micros, lease.limit), tasks, running };
  });
}

/** A task was closed: what its lease set aside for it returns (L3). */
export function closeLeased(state: AccountState, terms: Terms): void {
  if (terms.lease === undefined) return;
  changeLease(state, terms.lease, (lease) => {
    lease.closedMicros += BigInt(terms.limit);
    lease.closedTasks += 1;
  });
}

/** Gives back what no isolate told of in time (L4). */
export function expireLeases(state: AccountState, nowMs: number): void {
  for (const lease of state.leases.values()) {
    if (lease.expiresMs <= nowMs) dropLease(state, lease);
  }
}

/** Whether a task of this lease may still be running as far as its account knows. */
export function isLeaseOpen(state: AccountState, terms: Terms, nowMs: number): boolean {
  return terms.lease !== undefined && state.leases.has(terms.lease) && terms.expires_ms > nowMs;
}

/**
 * Until when tickets may be issued from leases of a key, or of any where none is named; null where
 * none may (L5).
 */
export function issuableUntilMs(
  state: AccountState,
  keyId: string | null,
  nowMs: number,
): number | null {
  let latest: number | null = null;
  for (const lease of state.leases.values()) {
    const isOther = keyId !== null && lease.keyId !== keyId;
    if (isOther || lease.issued !== null || lease.untilMs <= nowMs) continue;
    latest = Math.max(latest ?? 0, lease.untilMs);
  }
  return latest;
}

function changeLease(state: AccountState, id: string, change: (lease: Lease) => void): void {
  const lease = state.leases.get(id);
  // Its time is long over: its tasks are honoured as those of a forgotten hold (A4).
  if (lease === undefined) return;
  dropLease(state, lease);
  change(lease);
  const isOver = lease.issued !== null && asideMicros(lease) === 0n && asideTasks(lease) === 0;
  if (!isOver) addLease(state, lease);
}

function dropLease(state: AccountState, lease: Lease): void {
  state.leases.delete(lease.id);
  state.held -= asideMicros(lease);
  state.leasedTasks -= asideTasks(lease);
}

function least(a: Micros, b: Micros): Micros {
  return a < b ? a : b;
}
