import { assert } from "../../shared/assert.ts";
import { attemptId } from "../../shared/ids.ts";
import type { Listing } from "../../shared/protocol/listing.ts";
import type { TaskCancel } from "../../shared/protocol/task.ts";
import { bodyPartChars } from "../../shared/protocol/limits.ts";
import { OutputTranscript } from "../../shared/protocol/receipt.ts";
import type { AttemptRecord } from "../billing/closing.ts";
import { chooseWorker } from "./choose-worker.ts";
import {
  type Attempt,
  type HubEffect,
  type HubState,
  type Loss,
  priceOf,
  type Session,
  type TaskEnding,
  type TaskEntry,
} from "./hub-state.ts";
import { measureAttempt } from "./measure-attempt.ts";
import type { Preflight } from "./preflight-state.ts";
import type { Excluded } from "./route-explanation.ts";
import { whyNobody } from "./why-nobody.ts";

/** Time, chance and the list of effects of one step. */
export interface StepContext {
  readonly nowMs: number;
  readonly random: () => number;
  readonly effects: HubEffect[];
  /** Probes that ended in this step: preflight-state.ts takes them once it is over. */
  readonly probed: Probed[];
}

/** How a probe ended. */
export interface Probed {
  readonly entry: TaskEntry;
  readonly preflight: Preflight;
  readonly ending: WithoutContext<TaskEnding>;
  /** The worker did not take it. */
  readonly isRefused: boolean;
}

/** Offers the task to a worker, or lets it wait for one, or ends it. */
export function placeTask(state: HubState, entry: TaskEntry, step: StepContext): void {
  const { task } = entry;
  const choice = chooseWorker(task, state.sessions.values(), entry.triedSessionIds, step.random);
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

/** Why nobody is left to ask: the last worker's own words where there was one. */
function whyUnplaced(entry: TaskEntry, excluded: Excluded, lastLoss: Loss | null): FailedEnding {
  if (lastLoss === null) {
    return { kind: "failed", ...whyNobody(entry.task, excluded), retryAfterS: null };
  }
  const { message, countsAsFailure } = lastLoss;
  if (!countsAsFailure) return noCapacity(message);
  return { kind: "failed", code: "worker_failed", message, param: null, retryAfterS: 1 };
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
    state.waiting.unshift(entry);
  } else state.waiting.push(entry);
}

/** A slot came free: the first waiting tasks that fit are placed. */
export function placeWaiting(state: HubState, step: StepContext): void {
  if (state.waiting.length === 0) return;
  const waiting = state.waiting;
  state.waiting = [];
  const kept: TaskEntry[] = [];
  for (const entry of waiting) {
    const choice = chooseWorker(
      entry.task,
      state.sessions.values(),
      entry.triedSessionIds,
      step.random,
    );
    if (choice.kind === "chosen") {
      entry.route = choice.route;
      offerTask(state, entry, choice, step);
    } else kept.push(entry);
  }
  state.waiting = kept;
}

export function noCapacity(why: string): FailedEnding {
  return {
    kind: "failed",
    code: "no_capacity",
    message: `No worker is free for this task: ${why}. Try again in a few seconds.`,
    param: null,
    // The mean answer takes a few seconds; two let a slot come free without a herd arriving at
    // once.
    retryAfterS: 2,
  };
}

type FailedEnding = Omit<Extract<TaskEnding, { kind: "failed" }>, "entry" | "endedMs">;

/** Offers a task to a worker that has a free slot. */
export function offerTask(
  state: HubState,
  entry: TaskEntry,
  to: { readonly session: Session; readonly listing: Listing },
  step: StepContext,
): void {
  const { session, listing } = to;
  const { task } = entry;
  assert(entry.attempt === null, `task ${task.id} is on no attempt when it is offered`);
  assert(session.credits > 0, "an offer uses up a credit that was granted (H2)");
  session.credits -= 1;
  session.probedLast = entry.probe !== null;
  entry.attemptNumber += 1;
  const attempt: Attempt = {
    id: attemptId(task.id, entry.attemptNumber),
    number: entry.attemptNumber,
    entry,
    session,
    listing,
    startedMs: step.nowMs,
    firstTokenMs: null,
    lastFrameMs: step.nowMs,
    seqNext: 0,
    transcript: new OutputTranscript(),
    held: [],
    grantedBytes: state.config.windowBytes,
    memoryBytes: 0,
    cancelledMs: null,
    wasHeldUp: false,
    bytesAtCancel: null,
  };
  entry.attempt = attempt;
  state.attempts.set(attempt.id, attempt);
  session.modelsByAttempt.set(attempt.id, listing.model);
  sendOffer(state, attempt, step);
}

function sendOffer(state: HubState, attempt: Attempt, step: StepContext): void {
  const { task } = attempt.entry;
  const parts = Math.max(1, Math.ceil(task.body.length / bodyPartChars));
  const part = (index: number) =>
    task.body.slice(index * bodyPartChars, (index + 1) * bodyPartChars);
  const sessionId = attempt.session.id;
  step.effects.push({
    kind: "send",
    sessionId,
    frame: {
      type: "task.offer",
      attempt: attempt.id,
      kind: task.kind,
      model: attempt.listing.model,
      digest: attempt.listing.digest,
      body: part(0),
      body_parts: parts,
      window_bytes: state.config.windowBytes,
      input_micros_per_million: attempt.listing.input_micros_per_million,
      output_micros_per_million: attempt.listing.output_micros_per_million,
      ticket: task.ticket,
    },
  });
  for (let index = 1; index < parts; index++) {
    step.effects.push({
      kind: "send",
      sessionId,
      frame: { type: "task.body", attempt: attempt.id, part: index, text: part(index) },
    });
  }
}

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
 * nobody notices; after that it ends with an error that says so (H4), never with a short answer
 * that looks whole.
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
  if (loss.countsAsFailure) entry.failures += 1;
  const made = entry.attemptNumber - entry.task.attemptsBefore;
  if (entry.started || entry.failures >= state.config.failuresMax) {
    endTask(state, entry, step, {
      kind: "failed",
      code: "worker_failed",
      message: loss.message,
      param: null,
      retryAfterS: 1,
    });
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

/**
 * The consumer left and the worker never said what it had made: what was delivered is what is paid.
 */
function endCancelled(state: HubState, attempt: Attempt, step: StepContext): void {
  const { transcript, entry } = attempt;
  endTask(state, entry, step, {
    kind: "cancelled",
    attempt,
    finishes: [],
    counts: {
      promptTokens: 0,
      completionTokens: Math.min(
        transcript.tokens,
        attempt.bytesAtCancel ?? transcript.bytes,
        entry.task.completionTokensMax ?? Number.MAX_SAFE_INTEGER,
      ),
    },
    price: priceOf(attempt.listing),
    receipt: null,
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

type WithoutContext<T> = T extends unknown ? Omit<T, "entry" | "endedMs"> : never;

/** The one way out of the hub for a task (H1). */
export function endTask(
  state: HubState,
  entry: TaskEntry,
  step: StepContext,
  ending: WithoutContext<TaskEnding>,
): void {
  const known = state.tasks.delete(entry.task.id);
  assert(known, `task ${entry.task.id} ends once (H1)`);
  if (entry.probe !== null) {
    step.probed.push({ entry, preflight: entry.probe, ending, isRefused: false });
    return;
  }
  state.bodiesChars -= entry.task.body.length;
  step.effects.push({
    kind: "ended",
    ending: { ...ending, entry, endedMs: step.nowMs } as TaskEnding,
  });
}
