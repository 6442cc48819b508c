import { assert } from "../../shared/assert.ts";
import type { ErrorCode } from "../../shared/errors.ts";
import { type Asset, bookOf, systemBooks } from "../../shared/assets.ts";
import { emptyJournal, type JournalPlace } from "../../shared/journal.ts";
import {
  costMicros,
  divideBySplit,
  type Micros,
  type Price,
  splitParties,
} from "../../shared/money.ts";
import { isGenerated } from "../../shared/openai/task-kinds.ts";
import {
  addLease,
  closeLeased,
  expireLeases,
  isLeaseOpen,
  type Lease,
} from "./leases/account-leases.ts";
import { freeCredit } from "./money/buckets.ts";
import { lost, type Standing } from "./standing.ts";
import type { TaskClosing } from "./closing.ts";
import { createLimitsState, type LimitsState } from "./limits/limit-chain.ts";
import {
  admitTask,
  finishTask,
  hasOpenBuckets,
  keepMeters,
  type LimitedRequest,
  releaseTask,
  takeAdmitted,
} from "./limits/limits-state.ts";
import type { RateLimits } from "./limits/rate-limits.ts";

/**
 * The money of one account. Invariants:
 * A1. Holds never exceed what can be spent when they are made: two tasks cannot spend the same
 *     credit. What can be spent is what is available and what was earned, in its window or not.
 *     A task that a signature promises to pay for takes none of it, and no other task that promise.
 * A2. A task is posted or voided at most once, whoever says so and however often.
 * A3. A post is at most the limit its terms agreed to; the parts of its split add up to it exactly.
 * A4. A hold or lease that its object forgot (both are memory) is still honoured at the post; what
 *     can be spent may then go below zero by what was set aside so, and never by more.
 * A5. Every change of a balance is a transfer with a debit and a credit side, under an id that says
 *     what it is for, and has its place in the account's journal (shared/journal.ts).
 * A6. Who serves its own account's tasks is not paid for it: nothing moves. A task that is agreed
 *     to go to own workers alone needs no credit, comes under no budget and pays nobody.
 */
export interface AccountState {
  readonly accountId: string;
  standing: Standing;
  status: "active" | "suspended";
  /** Credit, which every task moves, by bucket. */
  available: Micros;
  earned: Micros;
  /** All other assets and buckets that there is anything in; see buckets.ts. */
  readonly others: Map<string, Micros>;
  /** What was earned, by when its window ends; see earnings-window.ts. */
  readonly lots: Map<number, Micros>;
  journal: JournalPlace;
  concurrencyMax: number;
  readonly keys: Map<string, "active" | "revoked">;
  readonly holds: Map<string, Hold>;
  /** What a signature promises to pay for one task, by task; the rules are in promises.ts. */
  readonly promised: Map<string, Hold>;
  /** Credit and tasks that isolates give out themselves; the rules are in account-leases.ts. */
  readonly leases: Map<string, Lease>;
  /** Set aside by holds and leases together. */
  held: Micros;
  leasedTasks: number;
  /** What may be used within the account; the rules are in limits-state.ts. */
  readonly limits: LimitsState;
}

export interface Hold {
  readonly limit: Micros;
  readonly expiresMs: number;
}

/** One row of the double-entry ledger, before it is stored. */
export interface Transfer {
  readonly id: string;
  readonly taskId: string | null;
  /** What it was for: `mint`, `task`, `release`, or as whoever moved it named it. */
  readonly kind: string;
  readonly debit: string;
  readonly credit: string;
  readonly asset: Asset;
  readonly micros: Micros;
  readonly createdMs: number;
  readonly reason: string | null;
}

export interface HoldRequest extends LimitedRequest {
  readonly expiresMs: number;
}

export interface Refused {
  readonly kind: "refused";
  readonly code: ErrorCode;
  readonly reason: string;
  /** Where a limit of the account's own refused. */
  readonly limit?: RefusedByLimit;
}

export interface RefusedByLimit {
  /** The request's field at fault; null where it is none. */
  readonly param: string | null;
  /** When there will be room; null where that is not known, or waiting does not help. */
  readonly retryAfterMs: number | null;
  /** What the task would have to be bounded to; null where that is not what is wrong. */
  readonly completionTokensMax: number | null;
  readonly rates: RateLimits | null;
}

export type HoldResult =
  /** `rates` is null where nothing is limited by the minute. */
  { readonly kind: "held"; readonly rates: RateLimits | null } | Refused;

export function createAccountState(accountId: string): AccountState {
  return {
    accountId,
    standing: "open",
    status: "active",
    available: 0n,
    earned: 0n,
    others: new Map(),
    lots: new Map(),
    journal: emptyJournal,
    concurrencyMax: 0,
    keys: new Map(),
    holds: new Map(),
    promised: new Map(),
    leases: new Map(),
    held: 0n,
    leasedTasks: 0,
    limits: createLimitsState(accountId),
  };
}

/** Sets credit aside for one task (A1). Also the last word on whether the key may still be used. */
export function holdCredit(state: AccountState, request: HoldRequest, nowMs: number): HoldResult {
  if (state.keys.get(request.keyId) !== "active") {
    return refused("invalid_api_key", "the API key is unknown or revoked");
  }
  if (state.status !== "active") {
    return refused("insufficient_scope", "the account is suspended");
  }
  if (state.standing === "lost") return lost(state);
  let admission = admitTask(state.limits, request, nowMs);
  if (admission.kind === "refused") {
    expireHolds(state, nowMs);
    admission = admitTask(state.limits, request, nowMs);
    if (admission.kind === "refused") {
      // Said before a budget: own workers may do what there is no credit for (hold-own.ts).
      const isBudget = admission.code === "insufficient_quota";
      return (isBudget ? whyTooDear(state, request, nowMs) : null) ?? admission;
    }
  }
  if (tasksOf(state) >= state.concurrencyMax) {
    expireHolds(state, nowMs);
    const running = tasksOf(state);
    if (running >= state.concurrencyMax) {
      const may = `may have ${state.concurrencyMax}`;
      return refused("rate_limit_exceeded", `the account has ${running} tasks running and ${may}`);
    }
  }
  const tooDear = whyTooDear(state, request, nowMs);
  if (tooDear !== null) return tooDear;
  // What others pay for takes nothing of the account's own.
  const limit = isPromised(state, request) ? 0n : request.limit;
  state.holds.set(request.taskId, { limit, expiresMs: request.expiresMs });
  state.held += limit;
  return { kind: "held", rates: takeAdmitted(state.limits, admission, request, nowMs) };
}

function isPromised({ promised }: AccountState, { taskId, limit }: HoldRequest): boolean {
  return (promised.get(taskId)?.limit ?? -1n) >= limit;
}

/** Whether there is too little credit for a task (A1). Own workers cost nothing, also who owes. */
function whyTooDear(state: AccountState, request: HoldRequest, nowMs: number): Refused | null {
  const { limit, isOwn = false } = request;
  if (isOwn || isPromised(state, request) || limit <= freeCredit(state)) return null;
  expireHolds(state, nowMs);
  const free = freeCredit(state);
  if (limit <= free) return null;
  const reason = `it may cost ${limit} micros and ${free < 0n ? 0n : free} are available`;
  return refused("insufficient_quota", reason);
}

export function refused(code: ErrorCode, reason: string): Refused {
  return { kind: "refused", code, reason };
}

/** The tasks that run, or may begin under a lease. */
function tasksOf(state: AccountState): number {
  return state.holds.size + state.leasedTasks;
}

/** Takes over what is memory into a state that was read anew from what is stored. */
export function keepMemory(state: AccountState, before: AccountState): void {
  for (const [taskId, hold] of before.holds) {
    state.holds.set(taskId, hold);
    state.held += hold.limit;
  }
  for (const [taskId, promised] of before.promised) state.promised.set(taskId, promised);
  for (const lease of before.leases.values()) addLease(state, lease);
  keepMeters(state.limits, before.limits);
}

/** Whether there is anything that storage does not know and that still counts. */
export function hasMemory(state: AccountState, nowMs: number): boolean {
  expireHolds(state, nowMs);
  const isAside = state.holds.size > 0 || state.leases.size > 0;
  return isAside || hasOpenBuckets(state.limits, nowMs);
}

function release(state: AccountState, taskId: string): void {
  state.promised.delete(taskId);
  const hold = state.holds.get(taskId);
  if (hold === undefined) return;
  state.holds.delete(taskId);
  state.held -= hold.limit;
}

/** Gives back what was set aside for tasks that nobody closed in time. */
export function expireHolds(state: AccountState, nowMs: number): void {
  expireLeases(state, nowMs);
  for (const [taskId, hold] of state.holds) {
    if (hold.expiresMs > nowMs) continue;
    release(state, taskId);
    releaseTask(state.limits, taskId);
  }
  for (const [taskId, { expiresMs }] of state.promised) {
    if (expiresMs <= nowMs) state.promised.delete(taskId);
  }
}

/** A receipt may come back for a day after its task was agreed; later it changes nothing (A2). */
const closableMs = 24 * 3_600_000;
/** Resolutions outlast every closing they may meet, also where clocks disagree. */
export const resolutionKeptMs = closableMs + 3_600_000;

/** Whether the task may still be posted or voided: while a resolution of it would be remembered. */
export function isClosable(terms: { readonly created_ms: number }, nowMs: number): boolean {
  return nowMs < terms.created_ms + closableMs;
}

/**
 * Whether a closing must wait: a receipt that came back is taken only once the task's hold or lease
 * is gone, because while it stands the task may be running on another worker.
 */
export function mustWait(state: AccountState, closing: TaskClosing, nowMs: number): boolean {
  if (closing.kind === "void" || !closing.isRecovered) return false;
  const hold = state.holds.get(closing.terms.task);
  const isHeld = hold !== undefined && hold.expiresMs > nowMs;
  return isHeld || isLeaseOpen(state, closing.terms, nowMs);
}

/** What closing a task did to the books. */
export interface Resolution {
  readonly taskId: string;
  readonly kind: "posted" | "void";
  readonly cost: Micros;
  readonly transfers: readonly Transfer[];
  /** What providers' own accounts are to receive. */
  readonly earnings: readonly { readonly accountId: string; readonly micros: Micros }[];
}

/**
 * Posts or voids a task (A2, A3). The caller has made sure that it was not resolved before, stores
 * the resolution in the same transaction, after what covers a deficit of what is available, and
 * drops the state where that fails.
 */
export function resolveTask(state: AccountState, closing: TaskClosing, nowMs: number): Resolution {
  const taskId = closing.terms.task;
  release(state, taskId);
  closeLeased(state, closing.terms);
  const { key: keyId, model } = closing.terms;
  if (closing.kind === "void") {
    finishTask(state.limits, { taskId, keyId, model, cost: 0n, tokens: 0 }, nowMs);
    return { taskId, kind: "void", cost: 0n, transfers: [], earnings: [] };
  }
  const costs = boundedCosts(state, closing);
  const transfers: Transfer[] = [];
  const earnings: { accountId: string; micros: Micros }[] = [];
  for (const [at, { providerAccountId }] of closing.shares.entries()) {
    const parts = divideBySplit(costs[at] ?? 0n, closing.terms.split);
    for (const party of splitParties) {
      if (parts[party] === 0n) continue;
      transfers.push({
        id: at === 0 ? `${taskId}:${party}` : `${taskId}:${party}:${at + 1}`,
        taskId,
        kind: "task",
        debit: bookOf(state.accountId, "available"),
        credit: party === "provider" ? bookOf(providerAccountId, "earned") : systemBooks[party],
        asset: "CREDIT",
        micros: parts[party],
        createdMs: nowMs,
        reason: null,
      });
    }
    if (parts.provider > 0n) {
      earnings.push({ accountId: providerAccountId, micros: parts.provider });
    }
  }
  const cost = costs.reduce((sum, micros) => sum + micros, 0n);
  assert(cost <= BigInt(closing.terms.limit), "a task costs no more than was agreed (A3)");
  state.available -= cost;
  const tokens = closing.counts.promptTokens + closing.counts.completionTokens;
  finishTask(state.limits, { taskId, keyId, model, cost, tokens }, nowMs);
  return { taskId, kind: "posted", cost, transfers, earnings };
}

/**
 * What each share costs: together at most what was agreed (A3), the last ones giving way, and
 * nothing where it is the account's own worker's (A6).
 */
function boundedCosts(
  { accountId }: AccountState,
  closing: Extract<TaskClosing, { kind: "post" }>,
): Micros[] {
  const { limit, factor } = closing.terms;
  let left = isNothing(closing) ? 0n : BigInt(limit);
  return closing.shares.map(({ counts, price, providerAccountId }) => {
    if (providerAccountId === accountId) return 0n;
    const cost = costMicros(counts, price, factor);
    const bounded = cost < left ? cost : left;
    left -= bounded;
    return bounded;
  });
}

/**
 * Whether nothing was delivered, whatever the prompt was: a text of no tokens, or a document that
 * was cancelled, of which no piece is worth anything. Vectors, scores and labels are no tokens, so
 * a whole document is paid by its prompt alone.
 */
function isNothing({ terms, counts, record }: TaskClosing & { readonly kind: "post" }): boolean {
  if (isGenerated(terms.kind)) return counts.completionTokens === 0;
  return record.finish === "cancelled";
}

/**
 * The most a task can cost: what its hold must cover (A3). Counts are the bounds of the request.
 */
export function limitOf(
  bounds: { readonly promptTokensMax: number; readonly completionTokensMax: number },
  price: Price,
  factor?: number,
): Micros {
  return costMicros(
    { promptTokens: bounds.promptTokensMax, completionTokens: bounds.completionTokensMax },
    price,
    factor,
  );
}

/** Balances stay where SQL values and JSON carry them exactly; nobody has nine billion credits. */
export const balanceMax = BigInt(Number.MAX_SAFE_INTEGER);

/** Credit that an operator gives, under the id of its transfer. */
export interface Mint {
  readonly id: string;
  readonly micros: Micros;
  /** Why, in words. */
  readonly reason?: string | undefined;
}

/** New credit, given by an operator (A5). */
export function mintCredit(state: AccountState, mint: Mint, nowMs: number): Transfer {
  state.available += mint.micros;
  return {
    id: mint.id,
    taskId: null,
    kind: "mint",
    debit: systemBooks.mint,
    credit: bookOf(state.accountId, "available"),
    asset: "CREDIT",
    micros: mint.micros,
    createdMs: nowMs,
    reason: mint.reason ?? null,
  };
}
