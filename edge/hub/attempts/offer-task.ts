import { assert } from "../../../shared/assert.ts";
import { attemptId } from "../../../shared/ids.ts";
import type { Listing } from "../../../shared/protocol/listing.ts";
import { bodyPartChars, continuingVersion } from "../../../shared/protocol/limits.ts";
import { OutputTranscript } from "../../../shared/protocol/receipt.ts";
import type { InferenceTask } from "../../inference/task.ts";
import type { RouteExplanation } from "../routing/route-explanation.ts";
import { continuedAnswer } from "./continue-answer.ts";
import type { StepContext } from "./end-task.ts";
import type { Attempt, HubState, Session, TaskEntry } from "../hub-state.ts";

/** Where a task goes, and why there; null where nothing was chosen. */
export interface Placement {
  readonly session: Session;
  readonly listing: Listing;
  readonly route: RouteExplanation | null;
}

/** Offers a task to a worker that has a free slot. */
export function offerTask(
  state: HubState,
  entry: TaskEntry,
  to: Placement,
  step: StepContext,
): void {
  assert(entry.attempt === null, `task ${entry.task.id} is on no attempt when it is offered`);
  entry.attempt = openAttempt(state, entry, to, step);
  entry.route = to.route;
}

/** A new attempt of a task, offered to its worker. */
export function openAttempt(
  state: HubState,
  entry: TaskEntry,
  to: Placement,
  step: StepContext,
): Attempt {
  const { session, listing, route } = to;
  const { task } = entry;
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
    // Where no word has left yet the answer simply begins anew.
    route,
    isBreached: false,
    prefixText: entry.delivered?.text || null,
    firstTokenMs: null,
    lastFrameMs: step.nowMs,
    seqNext: 0,
    transcript: new OutputTranscript(isNamed(session, task)),
    held: [],
    grantedBytes: state.config.windowBytes,
    memoryBytes: 0,
    cancelledMs: null,
    wasHeldUp: false,
    bytesAtCancel: null,
  };
  state.attempts.set(attempt.id, attempt);
  session.modelsByAttempt.set(attempt.id, listing.model);
  sendOffer(state, attempt, step);
  return attempt;
}

function sendOffer(state: HubState, attempt: Attempt, step: StepContext): void {
  const { task, delivered } = attempt.entry;
  const body = partsOf(task.body);
  const isContinued = attempt.prefixText !== null && delivered !== null;
  const prefix = isContinued ? partsOf(JSON.stringify(continuedAnswer(delivered))) : [];
  const sessionId = attempt.session.id;
  const isPaced = attempt.session.version >= continuingVersion;
  step.effects.push({
    kind: "send",
    sessionId,
    frame: {
      type: "task.offer",
      attempt: attempt.id,
      kind: task.kind,
      model: attempt.listing.model,
      digest: attempt.listing.digest,
      body: body[0] ?? "",
      body_parts: body.length,
      ...(prefix.length === 0 ? {} : { prefix_parts: prefix.length }),
      ...(isNamed(attempt.session, task) ? { wants_token_ids: true } : {}),
      ...(isPaced ? { pace_ms: paceMsFor(state.attempts.size, state.config.paceMs) } : {}),
      window_bytes: state.config.windowBytes,
      input_micros_per_million: attempt.listing.input_micros_per_million,
      output_micros_per_million: attempt.listing.output_micros_per_million,
      ticket: task.ticket,
    },
  });
  for (const [index, text] of [...body, ...prefix].entries()) {
    if (index === 0) continue;
    step.effects.push({
      kind: "send",
      sessionId,
      frame: { type: "task.body", attempt: attempt.id, part: index, text },
    });
  }
}

/** Whoever has one choice of text to stream may have to be followed by another worker. */
function isNamed(session: Session, { streamed, choices }: InferenceTask): boolean {
  return session.version >= continuingVersion && streamed && choices === 1;
}

/**
 * Messages a second that a hub takes in all: a Durable Object is asked for a thousand events a
 * second at most, and other things happen as well.
 */
const messagesPerSMax = 400;
/** Nobody reads faster than ten times a second. */
const paceMsMax = 100;

/** How long workers gather output at a hub with so many attempts: each sends once a pace. */
export function paceMsFor(attempts: number, leastMs: number): number {
  const fairMs = Math.ceil((attempts * 1000) / messagesPerSMax);
  return Math.max(leastMs, Math.min(fairMs, paceMsMax));
}

/** A text in pieces that each fit a frame. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at === 0 || at < text.length; at += bodyPartChars) {
    parts.push(text.slice(at, at + bodyPartChars));
  }
  return parts;
}
