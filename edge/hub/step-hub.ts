import { assert, assertNever } from "../../shared/assert.ts";
import type { UpFrame } from "../../shared/protocol/frames.ts";
import { slotsMax } from "../../shared/protocol/limits.ts";
import type { ListingPublish } from "../../shared/protocol/listing.ts";
import {
  createTaskEntry,
  type HubEffect,
  type HubEvent,
  type HubState,
  type Session,
} from "./hub-state.ts";
import { noteFailure } from "./attempts/breaker.ts";
import { passDeadlines } from "./deadlines.ts";
import { endTask, noCapacity, type StepContext } from "./attempts/end-task.ts";
import { loseAttempt } from "./attempts/lose-attempt.ts";
import { placeTask } from "./attempts/place-task.ts";
import {
  fillSlots,
  passPreflights,
  pumpPreflight,
  takeProbed,
  vetListings,
} from "./vetting/preflight-state.ts";
import { beginMove, goOnMoving, turnAway } from "./sessions/move-workers.ts";
import { cancelTask, grant, takeDelta, takeEnd, takeFail } from "./attempts/take-output.ts";
import { emptyVetting, listingResult } from "./vetting/vetting.ts";
import { patienceMs } from "./attempts/queue.ts";
import { emptyMemory } from "./sessions/worker-memory.ts";

/** A restored or newly granted slot count is never above what the protocol allows. */
const creditsMax = slotsMax;

/**
 * Advances the hub by one event and returns what must happen outside, in order. Changes `state` in
 * place; does no I/O. `random` gives numbers in [0, 1).
 */
export function stepHub(
  state: HubState,
  event: HubEvent,
  nowMs: number,
  random: () => number,
): HubEffect[] {
  const effects: HubEffect[] = [];
  const step: StepContext = { nowMs, random, effects, probed: [] };
  act(state, event, step);
  if (state.moving !== null) goOnMoving(state, event, step);
  for (let probed = step.probed.shift(); probed !== undefined; probed = step.probed.shift()) {
    takeProbed(state, probed, step);
  }
  return effects;
}

function act(state: HubState, event: HubEvent, step: StepContext): void {
  switch (event.kind) {
    case "session.opened":
      openSession(state, event, step);
      break;
    case "session.restored": {
      const fresh = { modelsByAttempt: new Map(), measuredMs: 0, probedLast: false, facts: null };
      const session = { ...event.session, ...fresh };
      addSession(state, session);
      pumpPreflight(state, session, step);
      break;
    }
    case "session.closed":
      closeSession(state, event.sessionId, event.reason, step);
      break;
    case "frame":
      takeFrame(state, event.sessionId, event.frame, step);
      break;
    case "task.submitted": {
      const placeByMs = step.nowMs + patienceMs(state.config, event.task.mode);
      const entry = createTaskEntry(event.task, placeByMs);
      assert(!state.tasks.has(event.task.id), `task ${event.task.id} is submitted once`);
      state.tasks.set(event.task.id, entry);
      state.bodiesChars += event.task.body.length;
      if (state.bodiesChars <= state.config.bodiesCharsMax) placeTask(state, entry, step);
      else endTask(state, entry, step, noCapacity("this hub holds as much as it can"));
      break;
    }
    case "consumer.gone":
      cancelTask(state, event.taskId, step);
      break;
    case "consumer.told": {
      const entry = state.tasks.get(event.taskId);
      if (entry !== undefined) entry.told = true;
      break;
    }
    case "consumer.reads": {
      const attempt = state.tasks.get(event.taskId)?.attempt;
      if (attempt) grant(state, attempt, step);
      break;
    }
    case "hub.moves":
      beginMove(state, event.moving, step);
      break;
    case "tick":
      passDeadlines(state, event.unread ?? new Set(), step);
      passPreflights(state, step);
      break;
    default:
      assertNever(event);
  }
}

function openSession(
  state: HubState,
  event: Extract<HubEvent, { kind: "session.opened" }>,
  step: StepContext,
): void {
  const known = state.sessions.get(state.sessionIdByWorkerId.get(event.workerId) ?? "");
  if (turnAway(state, event, known !== undefined, step)) return;
  if (known !== undefined) {
    // The newest connection of an identity wins: an old one may be a dead socket nobody has noticed
    // yet, and its proof may have come through late.
    const isNewest = event.epoch >= known.epoch;
    step.effects.push({
      kind: "close",
      sessionId: isNewest ? known.id : event.sessionId,
      close: "replaced",
      reason: "a newer connection with this identity took over",
    });
    if (!isNewest) return;
    closeSession(state, known.id, "replaced", step);
  }
  addSession(state, {
    id: event.sessionId,
    workerId: event.workerId,
    accountId: event.accountId,
    region: event.region,
    roundTripMs: event.roundTripMs ?? null,
    version: event.version,
    epoch: event.epoch,
    listings: [],
    vetting: emptyVetting(),
    hardware: null,
    revision: 0,
    credits: 0,
    draining: false,
    modelsByAttempt: new Map(),
    // What an older connection has learnt since is newer than what was kept.
    memory: known?.memory ?? event.memory ?? emptyMemory(),
    measuredMs: 0,
    probedLast: false,
    facts: null,
  });
}

function addSession(state: HubState, session: Session): void {
  state.sessions.set(session.id, session);
  state.sessionIdByWorkerId.set(session.workerId, session.id);
}

function closeSession(state: HubState, sessionId: string, reason: string, step: StepContext): void {
  const session = state.sessions.get(sessionId);
  if (session === undefined) return;
  state.sessions.delete(sessionId);
  state.preflights.delete(sessionId);
  if (state.sessionIdByWorkerId.get(session.workerId) === sessionId) {
    state.sessionIdByWorkerId.delete(session.workerId);
  }
  const attempts = [...session.modelsByAttempt.keys()];
  // One connection that breaks is one failure, however much ran on it.
  if (attempts.some((id) => state.attempts.get(id)?.cancelledMs === null)) {
    noteFailure(session.memory, { ...step, retryAfterMs: 0 });
  }
  step.effects.push({ kind: "unlisted", session });
  for (const attemptId of attempts) {
    const attempt = state.attempts.get(attemptId);
    if (attempt === undefined) continue;
    const message = "The worker was lost in the middle of the answer";
    const outcome = `${session.draining ? "left" : "lost"}: ${reason}`;
    const loss = { outcome, message, countsAsFailure: true, isWorkerKnown: true };
    loseAttempt(state, attempt, loss, step);
  }
}

function takeFrame(state: HubState, sessionId: string, frame: UpFrame, step: StepContext): void {
  const session = state.sessions.get(sessionId);
  // Frames of a socket that was just replaced or closed arrive late: they are nobody's (H3).
  if (session === undefined) return;
  switch (frame.type) {
    case "auth.prove":
      closeFor(session, "a proof was already given", step);
      return;
    case "listing.publish":
      takeListings(state, session, frame, step);
      return;
    case "credit.grant":
      session.credits = Math.min(session.credits + frame.slots, creditsMax);
      fillSlots(state, session, step);
      return;
    case "worker.drain":
      session.draining = true;
      step.effects.push({ kind: "listed", session });
      return;
    case "receipt.submit":
      step.effects.push({ kind: "receipts.submitted", sessionId, frame });
      return;
    case "task.accept":
    case "task.refuse":
    case "task.delta":
    case "task.end":
    case "task.fail":
      takeAttemptFrame(state, session, frame, step);
      return;
    default:
      assertNever(frame);
  }
}

function closeFor(session: Session, reason: string, step: StepContext): void {
  step.effects.push({ kind: "close", sessionId: session.id, close: "malformed", reason });
}

function takeAttemptFrame(
  state: HubState,
  session: Session,
  frame: Extract<UpFrame, { attempt: string }>,
  step: StepContext,
): void {
  const attempt = state.attempts.get(frame.attempt);
  // H3: late frames of an attempt that is over, and frames for somebody else's, have no effect.
  if (attempt === undefined || attempt.session !== session) return;
  switch (frame.type) {
    case "task.accept":
      return;
    case "task.refuse": {
      const message = `The worker refused: ${frame.reason}`;
      const outcome = `refused: ${frame.reason}`;
      loseAttempt(state, attempt, { outcome, message, countsAsFailure: false }, step);
      return;
    }
    case "task.delta":
      takeDelta(state, attempt, frame, step);
      return;
    case "task.end":
      takeEnd(state, attempt, frame, step);
      return;
    case "task.fail":
      takeFail(state, attempt, frame, step);
      return;
    default:
      assertNever(frame);
  }
}

function takeListings(
  state: HubState,
  session: Session,
  frame: ListingPublish,
  step: StepContext,
): void {
  if (frame.revision <= session.revision) return;
  session.revision = frame.revision;
  session.hardware = frame.hardware ?? null;
  const refused: { model: string; reason: string }[] = [];
  const claims = frame.listings.filter((listing, index) => {
    const again = frame.listings.findIndex((other) => other.model === listing.model) < index;
    const synthetic = listing.engine === "synthetic" && state.config.network !== "local";
    if (again) refused.push({ model: listing.model, reason: "the model is listed twice" });
    else if (synthetic) {
      refused.push({
        model: listing.model,
        reason: "the synthetic engine is for local networks only",
      });
    }
    return !again && !synthetic;
  });
  session.vetting.refused = refused;
  if (state.config.preflight) vetListings(state, session, claims, step);
  else session.listings = claims;
  const result = listingResult(session, step.nowMs);
  step.effects.push(
    { kind: "send", sessionId: session.id, frame: result },
    { kind: "listed", session },
  );
  fillSlots(state, session, step);
}
