import { assert } from "../../shared/assert.ts";
import type { TaskCancel } from "../../shared/protocol/task.ts";
import type { AttemptRecord } from "../billing/closing.ts";
import { deliveredBy } from "./continue-answer.ts";
import {
  endCancelled,
  endTask,
  noCapacity,
  type Probed,
  type StepContext,
  workerFailed,
} from "./end-task.ts";
import type { Attempt, HubState, Loss, TaskEntry } from "./hub-state.ts";
import { measureAttempt } from "./measure-attempt.ts";
import { placeTask } from "./place-task.ts";

/** Takes the attempt off the books of its session and task, and notes how it went. */
export function closeAttempt(
  state: HubState,
  attempt: Attempt,
  outcome: string,
  step: StepContext,
): void {
  const { entry } = attempt;
  assert(entry.attempt === attempt, `attempt ${attempt.id} is the open one of its task (H1)`);
  entry.attempt = null;
  state.attempts.delete(attempt.id);
  attempt.session.modelsByAttempt.delete(attempt.id);
  measureAttempt(state, attempt, outcome, step);
  const record: AttemptRecord = {
    number: attempt.number,
    workerId: attempt.session.workerId,
    outcome,
    startedMs: attempt.startedMs,
    firstTokenMs: attempt.firstTokenMs,
    endedMs: step.nowMs,
    tokens: attempt.transcript.tokens,
  };
  entry.records.push(record);
}

/**
 * The attempt will not finish. Before any output has left, the task goes to another worker and
 * nobody notices; after that another one continues the answer, or it ends with an error that says
 * so (H4), never with a short answer that looks whole.
 */
export function loseAttempt(
  state: HubState,
  attempt: Attempt,
  loss: Loss,
  step: StepContext,
): void {
  const { entry } = attempt;
  closeAttempt(state, attempt, loss.outcome, step);
  if (entry.probe !== null) {
    loseProbe(state, entry, { ...loss, preflight: entry.probe }, step);
    return;
  }
  entry.triedSessionIds.add(attempt.session.id);
  if (attempt.cancelledMs !== null) {
    endCancelled(state, attempt, step);
    return;
  }
  entry.lastLoss = loss;
  // One that got the answer further was no failure of the task's.
  if (attempt.transcript.bytes > 0 && entry.started) entry.failures = 0;
  if (loss.countsAsFailure) entry.failures += 1;
  if (entry.started) entry.delivered = deliveredBy(attempt);
  const made = entry.attemptNumber - entry.task.attemptsBefore;
  const isStuck = entry.started && (entry.delivered === null || made >= state.config.attemptsMax);
  if (isStuck || entry.failures >= state.config.failuresMax) {
    endTask(state, entry, step, workerFailed(loss.message));
  } else if (made >= state.config.attemptsMax) {
    endTask(state, entry, step, noCapacity(`${made} workers refused it`));
  } else placeTask(state, entry, step);
}

/** A probe asks one worker, and ends with it. */
function loseProbe(
  state: HubState,
  entry: TaskEntry,
  loss: Pick<Probed, "preflight"> & { readonly message: string; readonly countsAsFailure: boolean },
  step: StepContext,
): void {
  state.tasks.delete(entry.task.id);
  step.probed.push({
    entry,
    preflight: loss.preflight,
    ending: {
      kind: "failed",
      code: "worker_failed",
      message: loss.message,
      param: null,
      retryAfterS: null,
    },
    isRefused: !loss.countsAsFailure,
  });
}

export function sendCancel(
  attempt: Attempt,
  reason: TaskCancel["reason"],
  step: StepContext,
): void {
  step.effects.push({
    kind: "send",
    sessionId: attempt.session.id,
    frame: { type: "task.cancel", attempt: attempt.id, reason },
  });
}
