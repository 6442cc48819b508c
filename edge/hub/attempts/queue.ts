import type { TaskMode } from "../../../shared/openai/octo-options.ts";
import type { Terms } from "../../billing/ticket.ts";
import type { HubState, TaskEntry } from "../hub-state.ts";
import { isForeign } from "../routing/choose-worker.ts";

/**
 * Tasks that wait for a slot, in the order in which they are served.
 * Q1. An answer that broke off goes first, then tasks whose worker was lost, then by mode, and
 *     within one by arrival.
 * Q2. A task that cannot be served within its patience is refused at once, with the time after
 *     which it could be; where nobody knows how long tasks take, it waits.
 */

/** How long a task of each mode may wait, as a multiple of what a person would. */
const patience: Record<TaskMode, number> = { realtime: 1, batch: 6, async: 30 };

export function patienceMs({ queueMs }: { readonly queueMs: number }, mode: TaskMode): number {
  return queueMs * patience[mode];
}

/** Puts a task in its place (Q1). */
export function enqueue(state: HubState, entry: TaskEntry): void {
  const rank = rankOf(entry);
  const isReturning = entry.attemptNumber > entry.task.attemptsBefore;
  // One that was running goes before its equals; a new one behind them.
  const at = state.waiting.findIndex((other) =>
    isReturning ? rankOf(other) >= rank : rankOf(other) > rank,
  );
  if (at === -1) state.waiting.push(entry);
  else state.waiting.splice(at, 0, entry);
}

const rankByMode: Record<TaskMode, number> = { realtime: 2, batch: 3, async: 4 };

function rankOf({ task, delivered, attemptNumber }: TaskEntry): number {
  if (delivered !== null) return 0;
  return attemptNumber > task.attemptsBefore ? 1 : rankByMode[task.mode];
}

/** A new value counts a fifth, as with all that is measured of workers. */
const newest = 0.2;

/** Notes how long an answer of a model took. */
export function noteTaskMs(state: HubState, model: string, ms: number): void {
  const known = state.taskMsByModel.get(model);
  state.taskMsByModel.delete(model);
  state.taskMsByModel.set(model, known === undefined ? ms : known + newest * (ms - known));
  const [oldest] = state.taskMsByModel.keys();
  if (state.taskMsByModel.size > modelsMax && oldest !== undefined) {
    state.taskMsByModel.delete(oldest);
  }
}

const modelsMax = 256;

/**
 * Milliseconds until a new task of this sort would get a slot, all of which are taken; null where
 * nobody knows (Q2). Each slot comes free when its answer is as old as answers get on average.
 */
export function expectedWaitMs(state: HubState, entry: TaskEntry, nowMs: number): number | null {
  const { model, terms } = entry.task;
  const leftMs: number[] = [];
  let meanMs = 0;
  for (const { listing, session, startedMs } of state.attempts.values()) {
    const isOfModel = listing.model === model || `sha256:${listing.digest}` === model;
    const ms =
      isOfModel && !isForeign(entry.task, session)
        ? state.taskMsByModel.get(listing.model)
        : undefined;
    if (ms === undefined) continue;
    leftMs.push(Math.max(0, ms - (nowMs - startedMs)));
    meanMs = Math.max(meanMs, ms);
  }
  if (leftMs.length === 0) return null;
  const rank = rankOf(entry);
  const ahead = state.waiting.filter(
    (other) =>
      other.task.model === model && rankOf(other) <= rank && isForSame(other.task.terms, terms),
  ).length;
  leftMs.sort((a, b) => a - b);
  const rounds = Math.floor(ahead / leftMs.length);
  return (leftMs[ahead % leftMs.length] ?? 0) + rounds * meanMs;
}

/** Whether two tasks of a model wait for the same workers: one account's own, or anybody's. */
function isForSame(one: Terms, other: Terms): boolean {
  return one.own === other.own && (one.own !== true || one.account === other.account);
}
