import type { Limits, ModelLimits } from "../../../shared/limits.ts";
import type { Micros, TokenCounts } from "../../../shared/money.ts";
import type { Refused } from "../account-state.ts";
import { spend, type SpentRow } from "./budgets.ts";
import {
  chainOf,
  type KeyGroups,
  type LimitsState,
  type Link,
  type Meter,
  meterOf,
  setKeyGroups,
  setLimits,
  type Subject,
  subjectLimits,
} from "./limit-chain.ts";
import { type RateLimits, ratesOf } from "./rate-limits.ts";
import { type Bucket, isFull, refilled, takeFrom } from "./token-bucket.ts";
import { whyRefused } from "./why-refused.ts";

/**
 * What may be used within an account: by all of it, a team, a project, a key, and by single models
 * in each of them. Invariants:
 * G1. A task is admitted by all limits above it or by none; one that is refused takes nothing.
 * G2. What is held counts as used: running tasks are at most the concurrency; tokens of a minute
 *     that were used and are held are at most what the bucket has; what was spent in a period and
 *     is held is at most a hard budget. So nothing races past a limit.
 * G3. In any time a key makes at most one bucketful of requests and what flows in meanwhile; so
 *     with tokens, which leave their bucket when a task ends: as many as it used.
 * G4. What a task holds comes back once: when it is posted, voided or expires.
 * G5. What was spent is stored in the transaction that posts it, and outlives the object. Buckets
 *     and what is held are memory: an object that crashed gives at most one more bucketful, and
 *     spends at most what was in flight beyond a budget (A4).
 * G6. A key under any limit is never leased (account-leases.ts), and whoever sets a limit waits
 *     until nothing is issued from leases that are older (L5): the Account sees every task.
 */

/** What of a task is limited. */
export interface LimitedRequest {
  readonly taskId: string;
  readonly keyId: string;
  readonly model: string;
  /** Names of the same model, where it is asked for by its digest: their limits hold as well. */
  readonly alsoNamed?: readonly string[];
  /** The most it may cost. */
  readonly limit: Micros;
  /** It goes to own workers alone, for nothing. */
  readonly isOwn?: boolean;
  readonly tokensMax: TokenCounts;
}

/** Every limit has room for the task. */
export interface Admission {
  readonly kind: "admitted";
  readonly chain: readonly Link[];
}

const unlimited: Admission = { kind: "admitted", chain: [] };

/** Whether all limits have room for a task (G1, G2); takes nothing. */
export function admitTask(
  state: LimitsState,
  request: LimitedRequest,
  nowMs: number,
): Admission | Refused {
  const chain = chainOf(state, request.keyId, [request.model, ...(request.alsoNamed ?? [])]);
  if (chain.length === 0) return unlimited;
  for (const { limits, meter } of chain) refill(meter, limits, nowMs);
  return whyRefused(chain, request, nowMs) ?? { kind: "admitted", chain };
}

/** Takes what was admitted; gives what is left, or null where nothing is counted by the minute. */
export function takeAdmitted(
  state: LimitsState,
  { chain }: Admission,
  request: LimitedRequest,
  nowMs: number,
): RateLimits | null {
  if (chain.length === 0) return null;
  const tokens = request.tokensMax.promptTokens + request.tokensMax.completionTokens;
  for (const { limits, meter } of chain) {
    const { requests_per_minute: perMinute } = limits;
    if (perMinute !== undefined) {
      meter.requests = takeFrom(refilled(meter.requests, perMinute, nowMs), 1);
    }
    meter.running += 1;
    meter.heldTokens += tokens;
    meter.heldMicros += request.limit;
  }
  const meters = chain.map(({ meter }) => meter);
  state.tasks.set(request.taskId, { meters, tokens, micros: request.limit });
  return ratesOf(chain, nowMs);
}

/** A task's hold is gone: what it held comes back (G4). Gives where that was, if anywhere. */
export function releaseTask(state: LimitsState, taskId: string): readonly Meter[] | null {
  const task = state.tasks.get(taskId);
  if (task === undefined) return null;
  state.tasks.delete(taskId);
  for (const meter of task.meters) {
    meter.running -= 1;
    meter.heldTokens -= task.tokens;
    meter.heldMicros -= task.micros;
  }
  return task.meters;
}

/**
 * A task has ended. One that was not held here (its hold was forgotten, or it began under a lease)
 * spends all the same, and is in no bucket.
 */
export function finishTask(
  state: LimitsState,
  task: {
    readonly taskId: string;
    readonly keyId: string;
    readonly model: string;
    readonly cost: Micros;
    readonly tokens: number;
  },
  nowMs: number,
): void {
  if (state.limitsByScope.size === 0 && state.tasks.size === 0) return;
  const held = releaseTask(state, task.taskId);
  for (const meter of held ?? []) {
    const perMinute = subjectLimits(state, meter.subject)?.tokens_per_minute;
    if (perMinute === undefined) continue;
    meter.tokens = takeFrom(refilled(meter.tokens, perMinute, nowMs), task.tokens);
  }
  const meters = held ?? chainOf(state, task.keyId, [task.model]).map(({ meter }) => meter);
  for (const meter of meters) spend(state, meter, task.cost, nowMs);
}

/** Forgets buckets that are full; whether some are not, for which memory has to be kept (G5). */
export function hasOpenBuckets(state: LimitsState, nowMs: number): boolean {
  let isOpen = false;
  for (const [name, meter] of state.meters) {
    const limits = subjectLimits(state, meter.subject) ?? {};
    refill(meter, limits, nowMs);
    meter.requests = openBucket(meter.requests, limits.requests_per_minute);
    meter.tokens = openBucket(meter.tokens, limits.tokens_per_minute);
    isOpen ||= meter.requests !== null || meter.tokens !== null;
    if (isIdle(meter)) state.meters.delete(name);
  }
  return isOpen;
}

function refill(meter: Meter, limits: ModelLimits, nowMs: number): void {
  meter.requests = refilledOrNone(meter.requests, limits.requests_per_minute, nowMs);
  meter.tokens = refilledOrNone(meter.tokens, limits.tokens_per_minute, nowMs);
}

function refilledOrNone(
  bucket: Bucket | null,
  perMinute: number | undefined,
  nowMs: number,
): Bucket | null {
  return bucket === null || perMinute === undefined ? null : refilled(bucket, perMinute, nowMs);
}

function openBucket(bucket: Bucket | null, perMinute = 0): Bucket | null {
  return bucket === null || isFull(bucket, perMinute) ? null : bucket;
}

function isIdle({ requests, tokens, running, spent }: Meter): boolean {
  const hasSpent = spent.day.micros > 0n || spent.month.micros > 0n;
  return requests === null && tokens === null && running === 0 && !hasSpent;
}

/** What is stored of limits. */
export interface StoredLimits {
  readonly limits: readonly {
    readonly of: Pick<Subject, "scope" | "id">;
    readonly limits: Limits;
  }[];
  readonly groups: readonly { readonly keyId: string; readonly groups: KeyGroups }[];
  readonly spent: readonly SpentRow[];
}

/** Takes up what was stored. */
export function restoreLimits(state: LimitsState, stored: StoredLimits): void {
  for (const { of, limits } of stored.limits) setLimits(state, of, limits);
  for (const { keyId, groups } of stored.groups) setKeyGroups(state, keyId, groups);
  for (const { subject, period, spent } of stored.spent) {
    meterOf(state, subject).spent[period] = spent;
  }
}

/**
 * Takes over what is memory from a state before into one that was read anew: buckets, and what
 * running tasks hold.
 */
export function keepMeters(state: LimitsState, before: LimitsState): void {
  for (const [name, meter] of before.meters) {
    const stored = meterOf(state, meter.subject);
    meter.spent.day = stored.spent.day;
    meter.spent.month = stored.spent.month;
    // The tasks that run know this one.
    state.meters.set(name, meter);
  }
  for (const [taskId, task] of before.tasks) state.tasks.set(taskId, task);
}
