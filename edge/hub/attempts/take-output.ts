import type { OutputPart } from "../../../shared/openai/output.ts";
import { countsWithin } from "../../inference/results/result-counts.ts";
import { resultFault } from "../../inference/results/result-fault.ts";
import type { TaskDelta, TaskEnd, TaskFail } from "../../../shared/protocol/task.ts";
import type { Attempt, HubState } from "../hub-state.ts";
import { outputFault } from "./output-fault.ts";
import type { Preflight } from "../vetting/preflight-state.ts";
import { tokensLeft } from "./continue-answer.ts";
import { endAbandoned, endPaid, endTask, type StepContext } from "./end-task.ts";
import { closeAttempt, sendCancel } from "./close-attempt.ts";
import { dropAttempt, winRace } from "./hedge.ts";
import { loseAttempt } from "./lose-attempt.ts";
import { placeWaiting } from "./place-task.ts";

/** A worker that breaks the rules of an attempt loses its socket, and the attempt with it. */
function breach(attempt: Attempt, reason: string, step: StepContext): void {
  attempt.isBreached = true;
  step.effects.push({
    kind: "close",
    sessionId: attempt.session.id,
    close: "malformed",
    reason: `${attempt.id}: ${reason}`,
  });
}

/** More output: counted, then delivered at once or held for a whole answer. */
export function takeDelta(
  state: HubState,
  attempt: Attempt,
  frame: TaskDelta,
  step: StepContext,
): void {
  if (!takeSeq(attempt, frame.seq, step)) return;
  takeParts(state, attempt, frame.parts, step);
}

/** Whether the frame is the next of its attempt (H3). Gaps and repeats have no effect. */
function takeSeq(attempt: Attempt, seq: number, step: StepContext): boolean {
  if (seq !== attempt.seqNext) return false;
  attempt.seqNext += 1;
  attempt.lastFrameMs = step.nowMs;
  return true;
}

function takeParts(
  state: HubState,
  attempt: Attempt,
  parts: readonly OutputPart[],
  step: StepContext,
): boolean {
  const { entry } = attempt;
  // Nobody pays for a probe, so what still comes of one that was cancelled is not kept.
  if (entry.probe !== null && attempt.cancelledMs !== null) return true;
  const fault = outputFault(state, attempt, parts);
  if (fault !== null && fault.isSize && entry.probe !== null) {
    giveUpProbe(attempt, entry.probe, fault.reason, step);
    return true;
  }
  if (fault !== null) {
    breach(attempt, fault.reason, step);
    return false;
  }
  for (const part of parts) attempt.transcript.add(part);
  if (attempt.cancelledMs !== null || parts.length === 0) return true;
  // A part without text is no word yet: it neither wins a race nor leaves during one.
  if (attempt.transcript.bytes > 0) winRace(state, attempt, step);
  else if (entry.rival !== null && entry.task.streamed) return true;
  // A part without text shows nothing yet, whatever number of tokens it claims to be.
  if (attempt.transcript.bytes > 0) attempt.firstTokenMs ??= step.nowMs;
  if (entry.task.streamed) {
    if (!entry.started) {
      entry.started = true;
      step.effects.push({ kind: "started", attempt });
    }
    step.effects.push({ kind: "deliver", taskId: entry.task.id, parts });
  } else {
    attempt.held.push(...parts);
    // Nobody reads a whole answer piece by piece, so its window follows what has come.
    grant(state, attempt, step);
  }
  return true;
}

/**
 * More came than a probe can be answered with: its claim does not hold, which is no breach. The
 * attempt stays open until the worker has said its last word, as in preflight-state.ts.
 */
function giveUpProbe(
  attempt: Attempt,
  preflight: Preflight,
  reason: string,
  step: StepContext,
): void {
  attempt.cancelledMs = step.nowMs;
  attempt.bytesAtCancel = attempt.transcript.bytes;
  attempt.held.length = 0;
  sendCancel(attempt, "overflow", step);
  step.probed.push({
    entry: attempt.entry,
    preflight,
    ending: {
      kind: "failed",
      code: "worker_failed",
      message: `It answers a small request with ${reason}`,
      param: null,
      retryAfterS: null,
    },
    isRefused: false,
  });
}

/** Keeps a full window open beyond what has come; called when the consumer has read. */
export function grant(state: HubState, attempt: Attempt, step: StepContext): void {
  const windowBytes = state.config.windowBytes;
  const open = attempt.grantedBytes - attempt.transcript.bytes;
  if (open > windowBytes / 2 || attempt.cancelledMs !== null) return;
  const bytes = windowBytes - open;
  attempt.grantedBytes += bytes;
  step.effects.push({
    kind: "send",
    sessionId: attempt.session.id,
    frame: { type: "task.window", attempt: attempt.id, bytes },
  });
}

/** The worker says the attempt is over; the receipt must be for exactly this attempt. */
export function takeEnd(
  state: HubState,
  attempt: Attempt,
  frame: TaskEnd,
  step: StepContext,
): void {
  if (!takeSeq(attempt, frame.seq, step)) return;
  const fault = receiptFault(attempt, frame);
  if (fault !== null) {
    breach(attempt, fault, step);
    return;
  }
  if (!takeParts(state, attempt, frame.parts, step)) return;
  const { entry, transcript } = attempt;
  const cancelled = attempt.cancelledMs !== null;
  if (!cancelled && frame.outcome === "cancelled") {
    const message = "The worker stopped in the middle of the answer";
    loseAttempt(state, attempt, { outcome: "stopped", message, countsAsFailure: true }, step);
    return;
  }
  // What a probe finds missing is a claim that does not hold, not a breach.
  if (!cancelled && entry.probe === null && !endsEveryChoice(frame, entry.task.choices)) {
    breach(attempt, `its endings are not one for each of ${entry.task.choices} choices`, step);
    return;
  }
  const { result } = entry.task;
  const wrong = cancelled || result === null ? null : resultFault(result, transcript.text(0));
  if (wrong !== null) {
    // H4: nothing of a document has left, so a wrong one is a failed attempt like any other.
    const message = `The worker's answer is no answer: ${wrong}`;
    loseAttempt(state, attempt, { outcome: "wrong_result", message, countsAsFailure: true }, step);
    return;
  }
  winRace(state, attempt, step);
  // An answer of no text at all (the model ended at once) is an answer: its stream still has to
  // begin.
  if (!cancelled && entry.task.streamed && !entry.started) {
    entry.started = true;
    step.effects.push({ kind: "started", attempt });
  }
  const wasResting = attempt.session.memory.breaker.untilMs !== null;
  closeAttempt(state, attempt, cancelled ? "cancelled" : "complete", step);
  endPaid(state, attempt, step, {
    kind: cancelled ? "cancelled" : "answered",
    finishes: frame.finishes,
    // H5: the least of what the worker claims, what was delivered, and what can be.
    counts: countsWithin(result, transcript.text(0), {
      promptTokens: Math.min(frame.usage.prompt, entry.task.promptTokensMax),
      completionTokens: Math.min(
        frame.usage.completion,
        deliveredTokensMax(attempt),
        tokensLeft(entry),
      ),
    }),
    receipt: frame.receipt,
  });
  // A trial that succeeds lets its worker have all it has room for.
  if (wasResting) placeWaiting(state, step, attempt.session);
}

/** No token is less than a byte, but for those of images: they stand for pixels. */
function deliveredTokensMax({ entry, bytesAtCancel, transcript }: Attempt): number {
  if (bytesAtCancel !== null) return bytesAtCancel;
  return entry.task.kind === "image" ? Number.MAX_SAFE_INTEGER : transcript.bytes;
}

function endsEveryChoice(frame: TaskEnd, choices: number): boolean {
  const ended = new Set(frame.finishes.map((finish) => finish.index));
  return ended.size === choices && frame.finishes.every((finish) => finish.index < choices);
}

function receiptFault(attempt: Attempt, frame: TaskEnd): string | null {
  const { receipt } = frame.receipt;
  const expected = {
    attempt: attempt.id,
    worker: attempt.session.workerId,
    model: attempt.listing.digest,
    outcome: frame.outcome,
    prompt_tokens: frame.usage.prompt,
    completion_tokens: frame.usage.completion,
    input_micros_per_million: attempt.listing.input_micros_per_million,
    output_micros_per_million: attempt.listing.output_micros_per_million,
    v: attempt.prefixText === null ? 1 : 2,
  } as const;
  for (const [field, value] of Object.entries(expected)) {
    if (receipt[field as keyof typeof expected] !== value) return `the receipt's ${field} is wrong`;
  }
  return null;
}

/** The engine failed. The request's own fault ends the task; anything else is tried elsewhere. */
export function takeFail(
  state: HubState,
  attempt: Attempt,
  frame: TaskFail,
  step: StepContext,
): void {
  if (!takeSeq(attempt, frame.seq, step)) return;
  const own = frame.code === "context_length_exceeded" || frame.code === "invalid_request";
  const { delivered } = attempt.entry;
  if (own && attempt.prefixText !== null && delivered !== null && attempt.cancelledMs === null) {
    refuseBeginning(state, attempt, frame, step);
    return;
  }
  if (!own || attempt.entry.started || attempt.cancelledMs !== null) {
    const message = `The worker failed: ${frame.message}`;
    const retryAfterMs = frame.retry_after_ms ?? null;
    const loss = { outcome: frame.code, message, countsAsFailure: true, retryAfterMs };
    loseAttempt(state, attempt, loss, step);
    return;
  }
  winRace(state, attempt, step);
  closeAttempt(state, attempt, frame.code, step);
  endTask(state, attempt.entry, step, {
    kind: "failed",
    code: frame.code === "invalid_request" ? "invalid_request" : "context_length_exceeded",
    message: frame.message,
    param: null,
    retryAfterS: null,
  });
}

/**
 * A worker cannot go on from what another one gave, which is not its fault: the tokens may be none
 * of its model's, so it and the others are asked again with the text alone.
 */
function refuseBeginning(
  state: HubState,
  attempt: Attempt,
  frame: TaskFail,
  step: StepContext,
): void {
  const { entry } = attempt;
  const message = `The worker cannot go on: ${frame.message}`;
  const { delivered } = entry;
  const isNamed = delivered !== null && delivered.tokenIds !== null;
  if (isNamed) entry.delivered = { ...delivered, tokenIds: null };
  const loss = { outcome: frame.code, message, countsAsFailure: false, isWorkerKnown: true };
  loseAttempt(state, attempt, { ...loss, mayBeAsked: isNamed }, step);
}

/** The consumer hung up: the engine stops, and what was delivered is paid. */
export function cancelTask(state: HubState, taskId: string, step: StepContext): void {
  const entry = state.tasks.get(taskId);
  if (entry === undefined) return;
  const { attempt } = entry;
  if (attempt === null) {
    state.waiting = state.waiting.filter((other) => other !== entry);
    if (entry.delivered !== null && entry.delivered.shares.length > 0) {
      endAbandoned(state, entry.delivered, step);
      return;
    }
    endTask(state, entry, step, {
      kind: "failed",
      code: "client_closed",
      message: "The consumer hung up before a worker was free",
      param: null,
      retryAfterS: null,
    });
    return;
  }
  if (attempt.cancelledMs !== null) return;
  if (entry.rival !== null) dropAttempt(state, entry.rival, "consumer_gone", step);
  attempt.cancelledMs = step.nowMs;
  attempt.bytesAtCancel = attempt.transcript.bytes;
  sendCancel(attempt, "consumer_gone", step);
}
