import { taskBytesMax } from "../../shared/protocol/limits.ts";
import { partBytes, utf8Length } from "../../shared/protocol/receipt.ts";
import type { TaskOffer } from "../../shared/protocol/task.ts";
import type { OutputPart, Usage } from "../../shared/openai/output.ts";
import type { EngineErrorCode } from "../engine/engine.ts";
import type {
  AttemptEffect,
  AttemptEvent,
  AttemptOutcome,
  AttemptState,
  AttemptStep,
  Ending,
  Halt,
} from "./attempt.ts";
import { flush, seal, withTimer } from "./attempt-output.ts";
import { appendPart } from "./output-parts.ts";
import { readContinuedTask, readTask } from "./read-task.ts";

/**
 * One attempt: body in, engine's parts in, window and pace in; frames out.
 *
 * A1. Never more output is sent than the window holds, and the engine is not pulled while what is
 *     gathered fills it: what an attempt buffers is bounded by its window and one part.
 * A2. `seq` counts every `task.delta`, then `task.end` or `task.fail`, from 0 without a gap.
 * A3. After `task.end`, `task.fail` or `task.refuse` no frame is sent.
 * A4. The receipt counts and hashes what was sent, not what was made.
 * A5. `over` comes once, when the engine no longer works for this attempt.
 */

export function createAttempt(offer: TaskOffer, paceMs: number, nowMs: number): AttemptState {
  return {
    offer,
    paceMs,
    startedMs: nowMs,
    phase: { kind: "gathering", parts: 1 },
    body: offer.body,
    prefix: "",
    gathered: [],
    gatheredBytes: 0,
    windowBytes: offer.window_bytes,
    seq: 0,
    sentTokens: 0,
    firstSentMs: null,
    lastSentMs: nowMs,
    isTimerSet: false,
  };
}

/** What follows from one event: the next state, and what is to be done in this order. */
export function reduceAttempt(
  state: AttemptState,
  event: AttemptEvent,
  nowMs: number,
): AttemptStep {
  if (state.phase.kind === "over") return { state, effects: [] };
  switch (event.kind) {
    case "begin":
      return onBegin(state, nowMs);
    case "body":
      return onBody(state, event, nowMs);
    case "part":
      return onPart(state, event.part, nowMs);
    case "ended":
      return onEnded(state, { ...event, outcome: "complete" }, nowMs);
    case "failed":
      return onFailed(state, event, nowMs);
    case "window":
      return progress({ ...state, windowBytes: state.windowBytes + event.bytes }, nowMs, false);
    case "cancel":
      return halt(state, "cancelled", nowMs);
    case "lost":
      return halt(state, "lost", nowMs);
    case "stop":
      return halt(state, "stopped", nowMs);
    case "pace":
      return progress({ ...state, isTimerSet: false }, nowMs, true);
    case "paced":
      return { state: { ...state, paceMs: event.paceMs }, effects: [] };
    case "sealed":
      return onSealed(state, event, nowMs);
  }
}

function onBegin(state: AttemptState, nowMs: number): AttemptStep {
  const { attempt } = state.offer;
  const accept = { kind: "send", frame: { type: "task.accept", attempt } } as const;
  // The hub waits for an answer before the rest of a long body has to arrive.
  if (partsOf(state) > 1) return { state, effects: [accept] };
  const task = readTask(state.offer.kind, state.body);
  if (task !== null) return run(state, [accept, { kind: "generate", task }]);
  const refuse = { type: "task.refuse", attempt, reason: "malformed" } as const;
  return finish(state, "refused", nowMs, [{ kind: "send", frame: refuse }]);
}

function onBody(
  state: AttemptState,
  event: { readonly part: number; readonly text: string },
  nowMs: number,
): AttemptStep {
  const { phase } = state;
  // A gap or a repeat has no effect.
  if (phase.kind !== "gathering" || event.part !== phase.parts) return { state, effects: [] };
  const isBody = event.part < state.offer.body_parts;
  const body = isBody ? state.body + event.text : state.body;
  const prefix = isBody ? state.prefix : state.prefix + event.text;
  const parts = phase.parts + 1;
  const gathering: AttemptState = { ...state, body, prefix, phase: { kind: "gathering", parts } };
  if (isBody && (body.length > taskBytesMax || utf8Length(body) > taskBytesMax)) {
    const message = `The request is longer than ${taskBytesMax} bytes`;
    return fail(gathering, "invalid_request", message, nowMs);
  }
  if (parts < partsOf(state)) return { state: gathering, effects: [] };
  const task = readContinuedTask(state.offer, body, prefix);
  if (task !== null) return run(gathering, [{ kind: "generate", task }]);
  return fail(gathering, "invalid_request", `The request is no ${state.offer.kind} request`, nowMs);
}

/** How many parts the offer has in all: those of the body, then those of the prefix. */
function partsOf({ offer }: AttemptState): number {
  return offer.body_parts + (offer.prefix_parts ?? 0);
}

function run(state: AttemptState, before: readonly AttemptEffect[]): AttemptStep {
  return {
    state: { ...state, phase: { kind: "running", isPulling: true, halt: null } },
    effects: [...before, { kind: "pull" }],
  };
}

function onPart(state: AttemptState, part: OutputPart, nowMs: number): AttemptStep {
  const { phase } = state;
  if (phase.kind !== "running" || !phase.isPulling) return { state, effects: [] };
  const pulled: AttemptState = { ...state, phase: { ...phase, isPulling: false } };
  // A4: what an engine makes after it was told to stop is neither sent nor counted.
  if (phase.halt !== null) return pull(pulled, []);
  const gathered = appendPart(state.gathered, part);
  const gatheredBytes = state.gatheredBytes + partBytes(part);
  return progress({ ...pulled, gathered, gatheredBytes }, nowMs, false);
}

function pull(state: AttemptState, effects: readonly AttemptEffect[]): AttemptStep {
  const { phase } = state;
  if (phase.kind !== "running" || phase.isPulling) return { state, effects };
  return {
    state: { ...state, phase: { ...phase, isPulling: true } },
    effects: [...effects, { kind: "pull" }],
  };
}

/** Sends what is due, then asks for more or ends. `isDue` when the pace's timer has fired. */
function progress(state: AttemptState, nowMs: number, isDue: boolean): AttemptStep {
  const { phase } = state;
  if (phase.kind !== "running" && phase.kind !== "emptying") return { state, effects: [] };
  if (phase.kind === "running" && phase.halt !== null) return { state, effects: [] };
  const hasOutput = state.gatheredBytes > 0;
  if (phase.kind === "emptying" && state.gatheredBytes <= state.windowBytes) {
    return seal(state, { ending: phase.ending, isLost: false }, nowMs);
  }
  const isFirst = state.firstSentMs === null && hasOutput;
  const isPaced = nowMs >= state.lastSentMs + state.paceMs && hasOutput;
  const isFull = hasOutput && state.gatheredBytes >= state.windowBytes;
  const isSending = isDue || isFirst || isPaced || isFull || phase.kind === "emptying";
  const sent = isSending ? flush(state, nowMs) : { state, effects: [] };
  if (phase.kind === "emptying") return sent;
  const timed = withTimer(sent, nowMs);
  // A1
  if (timed.state.windowBytes <= timed.state.gatheredBytes) return timed;
  return pull(timed.state, timed.effects);
}

function onEnded(state: AttemptState, ending: Ending, nowMs: number): AttemptStep {
  const { phase } = state;
  if (phase.kind !== "running") return { state, effects: [] };
  if (phase.halt !== null) return onHalted(state, phase.halt, ending.usage, nowMs);
  const { outcome, finishes, usage } = ending;
  const emptying: AttemptState = {
    ...state,
    phase: { kind: "emptying", ending: { outcome, finishes, usage } },
  };
  return progress(emptying, nowMs, true);
}

/**
 * The engine has stopped as it was told: `usage.prompt` is real, completion is what was sent (A4).
 */
function onHalted(state: AttemptState, halt: Halt, usage: Usage, nowMs: number): AttemptStep {
  if (halt === "stopped") return finish(state, "stopped", nowMs, []);
  // Nothing was delivered over a socket that is gone: there is nothing to vouch for.
  if (halt === "lost" && state.seq === 0) return finish(state, "lost", nowMs, []);
  const sent = { ...usage, completion: state.sentTokens };
  const ending = { outcome: "cancelled", finishes: [], usage: sent } as const;
  return seal(state, { ending, isLost: halt === "lost" }, nowMs);
}

function onFailed(
  state: AttemptState,
  { code, message, retryAfterMs }: Extract<AttemptEvent, { kind: "failed" }>,
  nowMs: number,
): AttemptStep {
  const { phase } = state;
  if (phase.kind !== "running") return { state, effects: [] };
  // An engine that fails while it stops has stopped; its count of the prompt is lost with it.
  if (phase.halt !== null) return onHalted(state, phase.halt, uncounted, nowMs);
  // What was made before belongs to the answer another worker will continue.
  const sent = flush(state, nowMs);
  const failed = fail(sent.state, code, message, nowMs, retryAfterMs ?? null);
  return { state: failed.state, effects: [...sent.effects, ...failed.effects] };
}

const failMessageCharsMax = 500;

function fail(
  state: AttemptState,
  code: EngineErrorCode,
  text: string,
  nowMs: number,
  retryAfterMs: number | null = null,
): AttemptStep {
  const { attempt } = state.offer;
  const message = text.slice(0, failMessageCharsMax);
  const failed = { type: "task.fail", attempt, seq: state.seq, code, message } as const;
  const frame = retryAfterMs === null ? failed : { ...failed, retry_after_ms: retryAfterMs };
  return finish(state, "failed", nowMs, [{ kind: "send", frame }]);
}

/** Stops the engine, or what is left to do without one. */
function halt(state: AttemptState, why: Halt, nowMs: number): AttemptStep {
  const { phase } = state;
  switch (phase.kind) {
    case "gathering":
      if (why === "stopped") return fail(state, "engine_failed", leaving, nowMs);
      return onHalted(state, why, uncounted, nowMs);
    case "running":
      return haltEngine(state, why);
    case "emptying":
      if (why === "stopped") return fail(state, "engine_failed", leaving, nowMs);
      return onHalted({ ...state, gathered: [], gatheredBytes: 0 }, why, phase.ending.usage, nowMs);
    case "sealing":
      // It had ended: a cancel is answered by the end that is under way.
      if (why !== "lost") return { state, effects: [] };
      return { state: { ...state, phase: { ...phase, isLost: true } }, effects: [] };
    case "over":
      return { state, effects: [] };
  }
}

const uncounted: Usage = { prompt: 0, completion: 0, cached: 0 };
const leaving = "The worker is shutting down";

function haltEngine(state: AttemptState, why: Halt): AttemptStep {
  const { phase, seq } = state;
  if (phase.kind !== "running") return { state, effects: [] };
  if (phase.halt !== null) {
    // A socket can go while a cancelled engine stops; then nobody hears of its end.
    if (why !== "lost" || phase.halt === "stopped") return { state, effects: [] };
    return { state: { ...state, phase: { ...phase, halt: why } }, effects: [] };
  }
  const effects: AttemptEffect[] = [{ kind: "halt" }];
  if (state.isTimerSet) effects.push({ kind: "set-timer", atMs: null });
  if (why === "stopped") {
    const { attempt } = state.offer;
    const frame = {
      type: "task.fail",
      attempt,
      seq,
      code: "engine_failed",
      message: leaving,
    } as const;
    effects.push({ kind: "send", frame });
  }
  const halted: AttemptState = {
    ...state,
    phase: { ...phase, halt: why },
    gathered: [],
    gatheredBytes: 0,
    isTimerSet: false,
  };
  return pull(halted, effects);
}

function onSealed(
  state: AttemptState,
  event: Extract<AttemptEvent, { kind: "sealed" }>,
  nowMs: number,
): AttemptStep {
  const { phase } = state;
  if (phase.kind !== "sealing") return { state, effects: [] };
  const { attempt, ticket } = state.offer;
  const { outcome, finishes, usage } = phase.ending;
  // The end of it was never said: its consumer was told that the answer broke.
  if (phase.isLost) return finish(state, "lost", nowMs, []);
  const effects: AttemptEffect[] = [{ kind: "keep", ticket, signed: event.signed }];
  effects.push({
    kind: "send",
    frame: {
      type: "task.end",
      attempt,
      seq: state.seq,
      parts: [...phase.parts],
      outcome,
      finishes: [...finishes],
      usage,
      receipt: event.signed,
    },
  });
  return finish(state, outcome, nowMs, effects);
}

/** A5 */
function finish(
  state: AttemptState,
  outcome: AttemptOutcome,
  nowMs: number,
  before: readonly AttemptEffect[],
): AttemptStep {
  const effects: AttemptEffect[] = [...before];
  if (state.isTimerSet) effects.push({ kind: "set-timer", atMs: null });
  const usage = state.phase.kind === "sealing" ? state.phase.ending.usage : null;
  const summary = {
    attempt: state.offer.attempt,
    model: state.offer.model,
    outcome,
    promptTokens: usage?.prompt ?? 0,
    completionTokens: usage?.completion ?? state.sentTokens,
    startedMs: state.startedMs,
    firstTokenMs: state.firstSentMs,
    endedMs: nowMs,
  };
  const over: AttemptState = { ...state, isTimerSet: false, phase: { kind: "over" } };
  return { state: over, effects: [...effects, { kind: "over", summary }] };
}
