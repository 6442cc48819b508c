import { assert } from "../../../shared/assert.ts";
import { utf8Length } from "../../../shared/protocol/receipt.ts";
import type { TaskCancel } from "../../../shared/protocol/task.ts";
import type { AttemptRecord } from "../../billing/closing.ts";
import type { StepContext } from "./end-task.ts";
import type { Attempt, HubState } from "../hub-state.ts";
import { measureAttempt } from "./measure-attempt.ts";

/** Takes the attempt off the books of its session and task, and notes how it went. */
export function closeAttempt(
  state: HubState,
  attempt: Attempt,
  outcome: string,
  step: StepContext,
): void {
  const { entry } = attempt;
  const isOpen = entry.attempt === attempt || entry.rival === attempt;
  assert(isOpen, `attempt ${attempt.id} is an open one of its task (H1)`);
  // Its rival, if it has one, is the task's only attempt now.
  if (entry.attempt === attempt) entry.attempt = entry.rival;
  entry.rival = null;
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
    bytesIn: utf8Length(entry.task.body) + utf8Length(attempt.prefixText ?? ""),
    bytesOut: attempt.transcript.bytes,
  };
  entry.records.push(record);
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
