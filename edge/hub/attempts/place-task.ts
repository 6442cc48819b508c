import { mayTry } from "./breaker.ts";
import { type Choice, chooseWorker, isFitting } from "../routing/choose-worker.ts";
import { canContinue } from "./continue-answer.ts";
import {
  endTask,
  type FailedEnding,
  noCapacity,
  type StepContext,
  workerFailed,
} from "./end-task.ts";
import type { HubState, Loss, Session, TaskEntry } from "../hub-state.ts";
import { offerTask } from "./offer-task.ts";
import { enqueue, expectedWaitMs, patienceMs } from "./queue.ts";
import type { Excluded } from "../routing/route-explanation.ts";
import { whyNobody } from "../routing/why-nobody.ts";

/** Offers the task to a worker, or lets it wait for one, or ends it. */
export function placeTask(state: HubState, entry: TaskEntry, step: StepContext): void {
  const choice = chooseFor(state, entry, step);
  if (choice.kind === "chosen") {
    offerTask(state, entry, choice, step);
    return;
  }
  const { lastLoss } = entry;
  // A worker that was lost or is leaving may be the only one, and restarting; so may one of the hub
  // before. One that is there and failed or refused is not asked again.
  const mayReturn = lastLoss === null ? entry.attemptNumber > 0 : isComing(entry, lastLoss);
  if (choice.kind === "resting" && step.nowMs + choice.restMs > entry.placeByMs && !mayReturn) {
    const why = "they have failed and are left alone for a while";
    endTask(state, entry, step, noCapacity(why, choice.restMs));
  } else if (choice.kind !== "nobody" || mayReturn) wait(state, entry, step);
  else endTask(state, entry, step, whyUnplaced(entry, choice.excluded, lastLoss));
}

/**
 * Whether the worker of a loss may soon be back. One that has said goodbye comes back when it
 * likes, which is no time to leave a consumer in the middle of an answer for.
 */
function isComing({ started }: TaskEntry, { outcome }: Loss): boolean {
  return started ? outcome.startsWith("lost: ") : /^(lost|left): |: draining$/.test(outcome);
}

/** Only workers that are left alone after failures could serve; the first one for so long. */
type Resting = Omit<Exclude<Choice, { kind: "chosen" }>, "kind"> & {
  readonly kind: "resting";
  readonly restMs: number;
};

/** The worker for a task, or for the rest of its answer, beside those that were tried. */
export function chooseFor(
  state: HubState,
  entry: TaskEntry,
  step: StepContext,
  candidates: Iterable<Session> = state.sessions.values(),
): Choice | Resting {
  const { task, delivered, triedSessionIds } = entry;
  const sessions: Session[] = [];
  let restMs = Number.POSITIVE_INFINITY;
  for (const session of candidates) {
    if (delivered !== null && !canContinue(session, task.model, delivered)) continue;
    const { breaker } = session.memory;
    const isTried = (ms: number) => delivered === null && isRunningSince(state, session, ms);
    if (mayTry(breaker, step.nowMs, isTried)) sessions.push(session);
    else if (couldServe(session, entry)) {
      restMs = Math.min(restMs, Math.max(0, (breaker.untilMs ?? 0) - step.nowMs));
    }
  }
  const choice = chooseWorker(task, sessions, triedSessionIds, step.random);
  if (choice.kind !== "nobody" || restMs === Number.POSITIVE_INFINITY) return choice;
  // Whoever rests after failures is asked again in a while: worth waiting, like one that is busy.
  return { ...choice, kind: "resting", restMs };
}

/** Whether a worker was given a task since, that it has not ended yet. */
function isRunningSince(state: HubState, session: Session, ms: number): boolean {
  for (const id of session.modelsByAttempt.keys()) {
    if ((state.attempts.get(id)?.startedMs ?? 0) >= ms) return true;
  }
  return false;
}

function couldServe(session: Session, { task, triedSessionIds }: TaskEntry): boolean {
  return !triedSessionIds.has(session.id) && isFitting(task, session);
}

/** Why nobody is left to ask: the last worker's own words where there was one. */
function whyUnplaced(entry: TaskEntry, excluded: Excluded, lastLoss: Loss | null): FailedEnding {
  if (lastLoss === null) {
    return { kind: "failed", ...whyNobody(entry.task, excluded), retryAfterS: null };
  }
  const { message, countsAsFailure } = lastLoss;
  return countsAsFailure || entry.started ? workerFailed(message) : noCapacity(message);
}

function wait(state: HubState, entry: TaskEntry, step: StepContext): void {
  if (state.waiting.length >= state.config.queueMax) {
    endTask(state, entry, step, noCapacity(`${state.waiting.length} tasks are waiting already`));
    return;
  }
  if (entry.attemptNumber > entry.task.attemptsBefore) {
    // Time spent on a lost worker is not the queue's: its next worker may take as long as the first
    // might have.
    entry.placeByMs = step.nowMs + patienceMs(state.config, entry.task.mode);
  } else {
    const waitMs = expectedWaitMs(state, entry, step.nowMs);
    if (waitMs !== null && step.nowMs + waitMs > entry.placeByMs) {
      // Q2: a consumer that knows it now can go elsewhere, or come back when there is room.
      endTask(
        state,
        entry,
        step,
        noCapacity(`all are busy for about ${seconds(waitMs)} s`, waitMs),
      );
      return;
    }
  }
  enqueue(state, entry);
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

/** A slot came free, of one worker or of any: the first waiting tasks that fit are placed. */
export function placeWaiting(state: HubState, step: StepContext, freed?: Session): void {
  if (state.waiting.length === 0) return;
  const waiting = state.waiting;
  state.waiting = [];
  const kept: TaskEntry[] = [];
  // What waits has found all others busy: only who is free now is looked at.
  const candidates = freed === undefined ? [...state.sessions.values()] : [freed];
  for (const entry of waiting) {
    const choice = chooseFor(state, entry, step, candidates);
    if (choice.kind === "chosen") {
      offerTask(state, entry, choice, step);
    } else kept.push(entry);
  }
  state.waiting = kept;
}
