import type { Micros } from "../../../shared/money.ts";
import { type LeaseAsk, type LeaseGrant, leaseMs, type LeaseReport } from "./lease-terms.ts";

/**
 * The isolate's side of credit leases: L2 of account-leases.ts is kept here. Plain data only, which
 * the requests of an isolate may share.
 */
export interface LeaseBook {
  readonly credits: Map<string, KeyCredit>;
}

/** What an isolate knows of one key's credit. */
interface KeyCredit {
  lease: HeldLease | null;
  /** Until then nobody asks: somebody does, or was refused. */
  quietUntilMs: number;
  /** What the account is still to be told. */
  reports: LeaseReport[];
  /** Tasks of this key that run from here, leased or not. */
  running: number;
  /** What was asked for in this window of time, and in the one before. */
  windowMs: number;
  now: Demand;
  before: Demand;
}

interface Demand {
  tasks: number;
  micros: Micros;
  /** The most tasks that ran at one time: how many run just now says little of that. */
  atOnce: number;
}

/** A lease as the isolate has it. */
interface HeldLease {
  readonly id: string;
  readonly limit: Micros;
  readonly tasksMax: number;
  readonly renewAtMs: number;
  readonly untilMs: number;
  issuedMicros: Micros;
  issuedTasks: number;
  running: number;
}

/**
 * A clock stands still while an isolate computes (Workers, 2026-11), and longer than this no
 * request computes before it has its ticket.
 */
const marginMs = 250;
/** Demand is looked at over this. */
const demandMs = 1_000;
/** A key that asks less often is served as well by holds, at no more calls. */
const busyTasks = 4;
/** An answer to an ask that takes longer is not waited for; and after a refusal nothing changes. */
const quietMs = 1_000;
/** Two windows of demand are a lease's life; as much again, because demand grows. */
const creditAhead = 4n;
const tasksAhead = 2;
/** Keys in the book: a hundred bytes or so each. */
const keysMax = 10_000;
/** Reports of leases that an account could not be told of; it learns of older ones by time (L4). */
const reportsMax = 64;

export interface SpendRequest {
  readonly keyId: string;
  readonly limit: Micros;
  /** An id for a lease, if one is to be asked for. */
  readonly newLeaseId: () => string;
}

/** Whose credit pays for a task, and whether more is to be asked for behind its back. */
export interface Spent {
  /** The lease, or null where the task needs a hold of its own. */
  readonly leaseId: string | null;
  readonly ask: LeaseAsk | null;
}

export function createLeaseBook(): LeaseBook {
  return { credits: new Map() };
}

/** A task begins; `endTask` follows. */
export function spend(book: LeaseBook, request: SpendRequest, nowMs: number): Spent {
  const credit = creditOf(book, request.keyId, nowMs);
  if (nowMs - credit.windowMs > demandMs) {
    credit.before = nowMs - credit.windowMs > 2 * demandMs ? noDemand() : credit.now;
    credit.now = noDemand();
    credit.windowMs = nowMs;
  }
  credit.now.tasks += 1;
  credit.now.micros += request.limit;
  credit.running += 1;
  credit.now.atOnce = Math.max(credit.now.atOnce, credit.running);
  const { lease } = credit;
  const hasRoom = lease !== null && canIssue(lease, request.limit, nowMs);
  if (hasRoom) {
    lease.issuedMicros += request.limit;
    lease.issuedTasks += 1;
    lease.running += 1;
  }
  return { leaseId: hasRoom ? lease.id : null, ask: askFor(credit, request, nowMs) };
}

/** Its answer has ended, or there is none. */
export function endTask(book: LeaseBook, keyId: string, leaseId: string | null): void {
  const credit = book.credits.get(keyId);
  if (credit === undefined) return;
  credit.running -= 1;
  if (credit.lease !== null && credit.lease.id === leaseId) credit.lease.running -= 1;
}

/** The answer to an ask that was made at `askedMs`; null is a refusal. */
export function takeGrant(
  book: LeaseBook,
  ask: LeaseAsk,
  grant: LeaseGrant | null,
  at: { readonly askedMs: number; readonly nowMs: number },
): void {
  const credit = creditOf(book, ask.keyId, at.nowMs);
  credit.quietUntilMs = grant === null ? at.nowMs + quietMs : 0;
  if (grant === null) return;
  const untilMs = at.askedMs + leaseMs - marginMs;
  if (untilMs <= at.nowMs) return keepReports(book, ask.keyId, [unused(ask)]);
  retire(credit);
  credit.lease = {
    id: ask.id,
    limit: grant.limit,
    tasksMax: grant.tasksMax,
    renewAtMs: at.askedMs + leaseMs / 2,
    untilMs,
    issuedMicros: 0n,
    issuedTasks: 0,
    running: 0,
  };
}

/** Nobody knows whether the ask arrived: if so, its lease is not used. */
export function giveUp(book: LeaseBook, ask: LeaseAsk): void {
  keepReports(book, ask.keyId, [unused(ask)]);
}

/** What the account is to be told now: of leases that are over, or that have followers. */
export function takeReports(book: LeaseBook, keyId: string, nowMs: number): LeaseReport[] {
  const credit = book.credits.get(keyId);
  if (credit === undefined) return [];
  if (credit.lease !== null && credit.lease.untilMs <= nowMs) retire(credit);
  const { reports } = credit;
  credit.reports = [];
  return reports;
}

/** The account could not be told. */
export function keepReports(book: LeaseBook, keyId: string, reports: readonly LeaseReport[]): void {
  const credit = book.credits.get(keyId);
  if (credit !== undefined) credit.reports = [...credit.reports, ...reports].slice(-reportsMax);
}

function canIssue(lease: HeldLease, limit: Micros, nowMs: number): boolean {
  return (
    nowMs < lease.untilMs &&
    lease.running < lease.tasksMax &&
    lease.issuedMicros + limit <= lease.limit
  );
}

function askFor(credit: KeyCredit, request: SpendRequest, nowMs: number): LeaseAsk | null {
  const { lease, now, before } = credit;
  const isBusy = now.tasks >= busyTasks || before.tasks >= busyTasks;
  if (!isBusy || nowMs < credit.quietUntilMs) return null;
  const isDue =
    lease === null || nowMs >= lease.renewAtMs || lease.issuedMicros * 2n >= lease.limit;
  if (!isDue) return null;
  credit.quietUntilMs = nowMs + quietMs;
  const micros = now.micros > before.micros ? now.micros : before.micros;
  return {
    id: request.newLeaseId(),
    keyId: request.keyId,
    limit: micros * creditAhead,
    tasks: Math.max(busyTasks, now.atOnce, before.atOnce) * tasksAhead,
    taskLimit: request.limit,
  };
}

function retire(credit: KeyCredit): void {
  const { lease } = credit;
  if (lease === null) return;
  credit.lease = null;
  const { id, issuedMicros: micros, issuedTasks: tasks, running } = lease;
  const report = { id, micros, tasks, running };
  credit.reports = [...credit.reports, report].slice(-reportsMax);
}

function unused({ id }: LeaseAsk): LeaseReport {
  return { id, micros: 0n, tasks: 0, running: 0 };
}

function creditOf(book: LeaseBook, keyId: string, nowMs: number): KeyCredit {
  const known = book.credits.get(keyId);
  if (known !== undefined) return known;
  if (book.credits.size >= keysMax) forgetIdle(book);
  const credit: KeyCredit = {
    lease: null,
    quietUntilMs: 0,
    reports: [],
    running: 0,
    windowMs: nowMs,
    now: noDemand(),
    before: noDemand(),
  };
  book.credits.set(keyId, credit);
  return credit;
}

/** Keys with a task running or a lease out are at most as many as the isolate has requests. */
function forgetIdle(book: LeaseBook): void {
  for (const [keyId, { running, lease, reports }] of book.credits) {
    if (running === 0 && lease === null && reports.length === 0) book.credits.delete(keyId);
  }
}

function noDemand(): Demand {
  return { tasks: 0, micros: 0n, atOnce: 0 };
}
