import { closeCodes, closeReason, isFinalClose } from "../../shared/protocol/close-codes.ts";
import type { DownFrame } from "../../shared/protocol/frames.ts";
import type { TaskOffer } from "../../shared/protocol/task.ts";
import { refusalOf } from "./admission.ts";
import { slotsToGrant } from "./credits.ts";
import { answerChallenge, prove, publication, welcome } from "./greeting.ts";
import { retryDelayMs, steadySessionMs } from "./reconnect.ts";
import type {
  Random,
  SessionEffect,
  SessionEvent,
  SessionSettings,
  SessionState,
  SessionStep,
  SessionStop,
  SessionTimer,
} from "./session.ts";

/**
 * The worker's side of the conversation: dial → challenge → prove → publish → credits → serve →
 * drain → reconnect.
 *
 * S1. One socket at a time; an event of a socket that was hung up has no effect, because the
 *     performer forgets it.
 * S2. An attempt holds its slot from its offer until `attempt-over`, across sockets.
 * S3. Frames for attempts that are not held have no effect.
 * S4. Without a word from the hub for three heartbeats the socket is dead.
 * S5. After `stop` there are no effects.
 * S6. What is not offered any more is not admitted from that moment on, whatever the hub knows;
 *     what runs of it ends in peace.
 * S7. Only free slots of listed models are granted: an attempt of a model that was withdrawn takes
 *     no slot from another.
 */

/**
 * A dial, a proof and a welcome: a hub on the other side of the world that has to be woken needs
 * half of it.
 */
const handshakeMs = 15_000;
/** Engines stop within a token; after this the drain goes on without those that do not. */
const stoppingMs = 5_000;
/** Five frames of 32 receipts a second stay far below the hub's limit for control frames. */
const submitEveryMs = 1_000;
const missedHeartbeatsMax = 3;

/** The state before `start`. */
export function createSession(settings: SessionSettings): SessionState {
  return {
    settings,
    phase: { kind: "idle" },
    modelsByAttempt: new Map(),
    listings: settings.listings,
    revision: 0,
    failures: 0,
    hub: null,
    drain: null,
  };
}

/** What follows from one event: the next state, and what is to be done in this order. */
export function reduceSession(
  state: SessionState,
  event: SessionEvent,
  nowMs: number,
  random: Random,
): SessionStep {
  if (state.phase.kind === "stopped") return { state, effects: [] };
  switch (event.kind) {
    case "start":
      return state.phase.kind === "idle" ? dial(state, nowMs) : { state, effects: [] };
    case "opened":
      if (state.phase.kind !== "dialling") return { state, effects: [] };
      return { state: { ...state, phase: { kind: "greeted" } }, effects: [] };
    case "heard":
      return { state: heard(state, nowMs), effects: [] };
    case "frame":
      return onFrame(heard(state, nowMs), event.frame, nowMs, random);
    case "broken":
      return hangUp(state, event, nowMs, random);
    case "closed":
      return onClosed(state, event, nowMs, random);
    case "signed":
      return prove(state, event);
    case "timer":
      return onTimer(state, event.timer, nowMs, random);
    case "submitted": {
      if (state.phase.kind !== "serving" || event.left === 0) return { state, effects: [] };
      const atMs = nowMs + submitEveryMs;
      return { state, effects: [{ kind: "set-timer", timer: "submit", atMs }] };
    }
    case "listings":
      return onListings(state, event.listings);
    case "attempt-over":
      return onAttemptOver(state, event.attempt);
    case "drain":
      return onDrain(state, nowMs);
    case "flushed":
      return onFlushed(state);
    case "abort":
      return stop(state, { kind: "aborted" }, { code: closeCodes.done, reason: "stopped" });
  }
}

function dial(state: SessionState, nowMs: number): SessionStep {
  return {
    state: { ...state, phase: { kind: "dialling" } },
    effects: [
      { kind: "notice", notice: { kind: "dialling" } },
      { kind: "dial", hub: state.hub },
      { kind: "set-timer", timer: "handshake", atMs: nowMs + handshakeMs },
    ],
  };
}

function heard(state: SessionState, nowMs: number): SessionState {
  if (state.phase.kind !== "serving") return state;
  return { ...state, phase: { ...state.phase, heardMs: nowMs } };
}

function onFrame(
  state: SessionState,
  frame: DownFrame,
  nowMs: number,
  random: Random,
): SessionStep {
  const { phase } = state;
  if (frame.type === "auth.challenge" && phase.kind === "greeted") {
    const answer = answerChallenge(state, frame);
    if (answer.kind === "refused") {
      const reason = answer.reason;
      return stop(state, { kind: "final", reason }, { code: closeCodes.done, reason: "refused" });
    }
    return answer.step;
  }
  if (frame.type === "auth.welcome" && phase.kind === "proved") return welcome(state, frame, nowMs);
  if (
    phase.kind !== "serving" ||
    frame.type === "auth.challenge" ||
    frame.type === "auth.welcome"
  ) {
    const reason = `${frame.type} has no place here`;
    return hangUp(state, { code: closeCodes.malformed, reason }, nowMs, random);
  }
  switch (frame.type) {
    case "listing.result": {
      if (frame.revision !== state.revision) return { state, effects: [] };
      const offered = new Set(state.listings.map(({ model }) => model));
      const models = frame.listed.filter((model) => offered.has(model));
      const listed = { ...state, phase: { ...phase, listed: models } };
      const told = { kind: "notice", notice: { kind: "listed", result: frame } } as const;
      return withGrant({ state: listed, effects: [told] });
    }
    case "task.offer":
      return onOffer(state, frame);
    case "task.body":
    case "task.window":
    case "task.cancel":
      // S3
      if (!state.modelsByAttempt.has(frame.attempt)) return { state, effects: [] };
      return { state, effects: [{ kind: "deliver", frame }] };
    case "receipt.ack":
      return { state, effects: [{ kind: "acknowledge", attempts: frame.attempts }] };
  }
}

/** Offers another set: at once where there is a hub to hear it, else with the next welcome. */
function onListings(state: SessionState, listings: SessionState["listings"]): SessionStep {
  const { phase } = state;
  if (phase.kind !== "serving") return { state: { ...state, listings }, effects: [] };
  // S6: a model that stays with the same terms is served on while the hub has not answered yet.
  const known = new Map(state.listings.map((listing) => [listing.model, listing.digest]));
  const kept = listings.filter(({ model, digest }) => known.get(model) === digest);
  const models = new Set(kept.map(({ model }) => model));
  const listed = phase.listed?.filter((model) => models.has(model)) ?? null;
  const offering = { ...state, listings, phase: { ...phase, listed } };
  const { state: published, frame } = publication(offering);
  return { state: published, effects: [{ kind: "send", frame }] };
}

function onOffer(state: SessionState, offer: TaskOffer): SessionStep {
  const { phase } = state;
  if (phase.kind !== "serving" || state.modelsByAttempt.has(offer.attempt)) {
    return { state, effects: [] };
  }
  const reason = refusalOf(state, phase, offer);
  const used = { ...state, phase: { ...phase, credits: Math.max(0, phase.credits - 1) } };
  if (reason !== null) {
    const { attempt } = offer;
    const effects: SessionEffect[] = [
      { kind: "send", frame: { type: "task.refuse", attempt, reason } },
      { kind: "notice", notice: { kind: "offer-refused", attempt, reason } },
    ];
    return withGrant({ state: used, effects });
  }
  const modelsByAttempt = new Map(state.modelsByAttempt).set(offer.attempt, offer.model);
  return {
    state: { ...used, modelsByAttempt },
    effects: [{ kind: "start-attempt", offer, paceMs: offer.pace_ms ?? phase.welcome.pace_ms }],
  };
}

/** Adds the grant that is due. */
function withGrant(step: SessionStep): SessionStep {
  const { state, effects } = step;
  if (state.phase.kind !== "serving") return step;
  const slots = slotsToGrant(state, state.phase);
  if (slots === 0) return step;
  const phase = { ...state.phase, credits: state.phase.credits + slots };
  const frame = { type: "credit.grant", slots } as const;
  return { state: { ...state, phase }, effects: [...effects, { kind: "send", frame }] };
}

function onAttemptOver(state: SessionState, attempt: string): SessionStep {
  const modelsByAttempt = new Map(state.modelsByAttempt);
  modelsByAttempt.delete(attempt);
  const freed = { ...state, modelsByAttempt };
  if (freed.drain !== null) return flushOnceIdle(freed, []);
  return withGrant({ state: freed, effects: [] });
}

function onTimer(
  state: SessionState,
  timer: SessionTimer,
  nowMs: number,
  random: Random,
): SessionStep {
  const { phase } = state;
  switch (timer) {
    case "handshake": {
      if (phase.kind === "serving" || phase.kind === "waiting") return { state, effects: [] };
      const reason = `no welcome within ${handshakeMs / 1000} s`;
      return hangUp(state, { code: closeCodes.silent, reason }, nowMs, random);
    }
    case "heartbeat": {
      if (phase.kind !== "serving") return { state, effects: [] };
      const everyMs = phase.welcome.heartbeat_ms;
      // S4
      if (nowMs - phase.heardMs >= missedHeartbeatsMax * everyMs) {
        const reason = `silent for ${nowMs - phase.heardMs} ms`;
        return hangUp(state, { code: closeCodes.silent, reason }, nowMs, random);
      }
      const again = { kind: "set-timer", timer: "heartbeat", atMs: nowMs + everyMs } as const;
      return { state, effects: [{ kind: "ping" }, again] };
    }
    case "retry":
      if (phase.kind !== "waiting" || state.drain !== null) return { state, effects: [] };
      return dial(state, nowMs);
    case "submit":
      if (phase.kind !== "serving") return { state, effects: [] };
      return { state, effects: [{ kind: "submit-receipts", isFirst: false }] };
    case "drain":
      return onDrainTimer(state, nowMs);
  }
}

function onClosed(
  state: SessionState,
  closed: { readonly code: number; readonly reason: string },
  nowMs: number,
  random: Random,
): SessionStep {
  if (state.phase.kind === "waiting" || state.phase.kind === "idle") return { state, effects: [] };
  if (!isFinalClose(closed.code)) return leave(state, closed, nowMs, random, []);
  const reason = closed.reason === "" ? `the hub closed with ${closed.code}` : closed.reason;
  return stop(state, { kind: "final", reason }, null);
}

/** Closes the socket for a reason of ours, then comes back. */
function hangUp(
  state: SessionState,
  why: { readonly code: number; readonly reason: string },
  nowMs: number,
  random: Random,
): SessionStep {
  if (state.phase.kind === "waiting" || state.phase.kind === "idle") return { state, effects: [] };
  const effect = { kind: "hang-up", code: why.code, reason: closeReason(why.reason) } as const;
  return leave(state, why, nowMs, random, [effect]);
}

/** The socket is gone: lose what ran on it and wait for the next dial. */
function leave(
  state: SessionState,
  why: { readonly code: number; readonly reason: string },
  nowMs: number,
  random: Random,
  before: readonly SessionEffect[],
): SessionStep {
  const { phase } = state;
  const wasSteady = phase.kind === "serving" && nowMs - phase.sinceMs >= steadySessionMs;
  const failures = wasSteady ? 1 : state.failures + 1;
  const wasBusy = phase.kind === "serving" && state.modelsByAttempt.size > 0;
  const isLeaving = state.drain !== null;
  const spreadMs = phase.kind === "serving" ? (phase.welcome.spread_ms ?? null) : null;
  const retryMs = isLeaving ? null : retryDelayMs({ ...why, spreadMs, failures, wasBusy }, random);
  const { code, reason } = why;
  const effects: SessionEffect[] = [...before, ...clearTimers];
  if (wasBusy) effects.push({ kind: "lose-attempts" });
  effects.push({ kind: "notice", notice: { kind: "disconnected", code, reason, retryMs } });
  if (retryMs !== null) {
    effects.push({ kind: "set-timer", timer: "retry", atMs: nowMs + retryMs });
  }
  const hub = isSentAway(code) ? null : state.hub;
  const waiting = { ...state, hub, failures, phase: { kind: "waiting" } as const };
  return isLeaving ? flushOnceIdle(waiting, effects) : { state: waiting, effects };
}

/** The hub does not want this worker back: its next dial asks for any. */
function isSentAway(code: number): boolean {
  return code === closeCodes.restart || code === closeCodes.hubFull;
}

const clearTimers: readonly SessionEffect[] = (["handshake", "heartbeat", "submit"] as const).map(
  (timer) => ({ kind: "set-timer", timer, atMs: null }),
);

function onDrain(state: SessionState, nowMs: number): SessionStep {
  if (state.drain !== null) return { state, effects: [] };
  const draining: SessionState = { ...state, drain: "attempts" };
  const attempts = state.modelsByAttempt.size;
  const effects: SessionEffect[] = [{ kind: "notice", notice: { kind: "draining", attempts } }];
  if (state.phase.kind === "serving") {
    effects.push({ kind: "send", frame: { type: "worker.drain" } });
  }
  const atMs = nowMs + state.settings.drainMs;
  effects.push({ kind: "set-timer", timer: "drain", atMs });
  return flushOnceIdle(draining, effects);
}

function onDrainTimer(state: SessionState, nowMs: number): SessionStep {
  if (state.drain === "attempts") {
    const atMs = nowMs + stoppingMs;
    return {
      state: { ...state, drain: "stopping" },
      effects: [{ kind: "stop-attempts" }, { kind: "set-timer", timer: "drain", atMs }],
    };
  }
  if (state.drain !== "stopping") return { state, effects: [] };
  return { state: { ...state, drain: "receipts" }, effects: [{ kind: "flush-receipts" }] };
}

/** Once nothing runs any more, a worker that leaves makes its receipts safe. */
function flushOnceIdle(state: SessionState, effects: readonly SessionEffect[]): SessionStep {
  if (state.modelsByAttempt.size > 0 || state.drain === "receipts") return { state, effects };
  return {
    state: { ...state, drain: "receipts" },
    effects: [...effects, { kind: "flush-receipts" }],
  };
}

function onFlushed(state: SessionState): SessionStep {
  if (state.drain !== "receipts") return { state, effects: [] };
  return stop(state, { kind: "drained" }, { code: closeCodes.done, reason: "drained" });
}

/** S5. `close` is what a socket that is still open is told. */
function stop(
  state: SessionState,
  why: SessionStop,
  close: { readonly code: number; readonly reason: string } | null,
): SessionStep {
  const effects: SessionEffect[] = [...clearTimers];
  for (const timer of ["retry", "drain"] as const) {
    effects.push({ kind: "set-timer", timer, atMs: null });
  }
  if (state.modelsByAttempt.size > 0) effects.push({ kind: "lose-attempts" });
  const hasSocket = state.phase.kind !== "waiting" && state.phase.kind !== "idle";
  if (close !== null && hasSocket) effects.push({ kind: "hang-up", ...close });
  effects.push({ kind: "stop", stop: why });
  return { state: { ...state, phase: { kind: "stopped", stop: why } }, effects };
}
