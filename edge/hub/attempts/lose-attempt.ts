import { noteFailure } from "./breaker.ts";
import { closeAttempt } from "./close-attempt.ts";
import { deliveredBy } from "./continue-answer.ts";
import {
  endCancelled,
  endTask,
  noCapacity,
  type Probed,
  type StepContext,
  workerFailed,
} from "./end-task.ts";
import type { Attempt, HubState, Loss, TaskEntry } from "../hub-state.ts";
import { placeTask } from "./place-task.ts";

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
  if (loss.mayBeAsked !== true) entry.triedSessionIds.add(attempt.session.id);
  if (attempt.cancelledMs !== null) {
    endCancelled(state, attempt, step);
    return;
  }
  entry.lastLoss = loss;
  // A task that fails wherever it goes says nothing of those it came to after the first.
  const isWorkers = loss.countsAsFailure && loss.isWorkerKnown !== true && entry.failures === 0;
  if (isWorkers)
    noteFailure(attempt.session.memory, { ...step, retryAfterMs: loss.retryAfterMs ?? 0 });
  // One that got the answer further was no failure of the task's.
  if (attempt.transcript.bytes > 0 && entry.started) entry.failures = 0;
  if (loss.countsAsFailure) entry.failures += 1;
  // Its rival goes on, and no output of either has left.
  if (entry.attempt !== null) return;
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
