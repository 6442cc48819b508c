import { mayTry } from "./breaker.ts";
import { type Choice, chooseWorker, isFitting } from "./choose-worker.ts";
import { canContinue } from "./continue-answer.ts";
import {
  endTask,
  type FailedEnding,
  noCapacity,
  type StepContext,
  workerFailed,
} from "./end-task.ts";
import type { HubState, Loss, Session, TaskEntry } from "./hub-state.ts";
import { offerTask } from "./offer-task.ts";
import { enqueue, expectedWaitMs } from "./queue.ts";
import type { Excluded } from "./route-explanation.ts";
import { whyNobody } from "./why-nobody.ts";

/** Offers the task to a worker, or lets it wait for one, or ends it. */
export function placeTask(state: HubState, entry: TaskEntry, step: StepContext): void {
  const choice = chooseFor(state, entry, step);
  if (choice.kind === "chosen") {
    entry.route = choice.route;
    offerTask(state, entry, choice, step);
    return;
  }
  const { lastLoss } = entry;
  // A worker that was lost or is leaving may be the only one, and restarting; so may one of the hub
  // before. One that is there and failed or refused is not asked again.
  const mayReturn =
    lastLoss === null ? entry.attemptNumber > 0 : /^lost: |: draining$/.test(lastLoss.outcome);
  if (choice.kind === "busy" || mayReturn) wait(state, entry, step);
  else endTask(state, entry, step, whyUnplaced(entry, choice.excluded, lastLoss));
}

/** The worker for a task, or for the rest of its answer, beside those that were tried. */
export function chooseFor(state: HubState, entry: TaskEntry, step: StepContext): Choice {
  const { task, delivered, triedSessionIds } = entry;
  const sessions: Session[] = [];
  let isResting = false;
  for (const session of state.sessions.values()) {
    if (delivered !== null && !canContinue(session, task.model, delivered)) continue;
    const { modelsByAttempt, memory } = session;
    if (mayTry(memory.breaker, modelsByAttempt.size, step.nowMs)) sessions.push(session);
    else isResting ||= couldServe(session, entry);
  }
  const choice = chooseWorker(task, sessions, triedSessionIds, step.random);
  // Whoever rests after failures is asked again in a while: worth waiting, like one that is busy.
  return choice.kind === "nobody" && isResting ? { ...choice, kind: "busy" } : choice;
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
    entry.placeByMs = step.nowMs + state.config.queueMs;
  } else {
    const waitMs = expectedWaitMs(state, entry);
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

/** A slot came free: the first waiting tasks that fit are placed. */
export function placeWaiting(state: HubState, step: StepContext): void {
  if (state.waiting.length === 0) return;
  const waiting = state.waiting;
  state.waiting = [];
  const kept: TaskEntry[] = [];
  for (const entry of waiting) {
    const choice = chooseFor(state, entry, step);
    if (choice.kind === "chosen") {
      entry.route = choice.route;
      offerTask(state, entry, choice, step);
    } else kept.push(entry);
  }
  state.waiting = kept;
}
