import { viewUsableMs } from "../../directory/directory-state.ts";
import type { HubEvent, HubState } from "../hub-state.ts";
import { endTask, noCapacity, type StepContext } from "../attempts/end-task.ts";

/**
 * Sending a hub's workers elsewhere, because another hub has room for them or the edge is about to
 * be deployed.
 *
 * M1. An idle worker is closed at once; one with attempts once these have ended, or at the limit.
 * M2. Nothing new is offered meanwhile, and nobody is let in.
 * M3. It ends with the last worker: then the hub takes workers again, at once where it was drained,
 *     and after a while where they are to settle elsewhere: front Workers that have not heard yet
 *     would send them straight back.
 */
export interface Moving {
  /** Over which time the workers should spread their return. */
  readonly spreadMs: number;
  /** When workers are closed though they have attempts; null never. */
  readonly busyUntilMs: number | null;
  /** Until when nobody is let in though all have left; null before. */
  readonly shutUntilMs?: number | null;
}

/**
 * Fifteen seconds spread ten thousand workers to 700 dials a second, at which none is refused; a
 * longer spread is a longer time without them.
 */
const spreadMsMax = 15_000;
/** A hub's share of that: two dials a second trouble nobody, so few workers are back soon. */
const spreadMsEach = 500;

/** Over which time `workers` of one hub should spread their return. */
export function spreadMsFor(workers: number): number {
  return Math.min(spreadMsMax, Math.max(1, workers) * spreadMsEach);
}

export function beginMove(state: HubState, moving: Moving, step: StepContext): void {
  if (state.sessions.size === 0) return;
  // Told again: an earlier limit stays where the later word knows none.
  state.moving = {
    ...moving,
    busyUntilMs: moving.busyUntilMs ?? state.moving?.busyUntilMs ?? null,
  };
  for (const session of state.sessions.values()) session.draining = true;
  // Another hub is asked for them at once, before their consumers have lost ten seconds here.
  for (const entry of state.waiting.splice(0)) {
    endTask(state, entry, step, noCapacity("this hub sends its workers elsewhere"));
  }
}

/** Closes whom an event has left without attempts. */
export function goOnMoving(state: HubState, event: HubEvent, step: StepContext): void {
  const { moving } = state;
  if (moving === null) return;
  const { shutUntilMs = null } = moving;
  if (shutUntilMs !== null) {
    if (step.nowMs >= shutUntilMs) state.moving = null;
    return;
  }
  // M3
  if (state.sessions.size === 0) {
    const untilMs = step.nowMs + moving.spreadMs + viewUsableMs;
    state.moving = moving.busyUntilMs === null ? { ...moving, shutUntilMs: untilMs } : null;
    return;
  }
  // A closing socket frees nobody, and the closings of one step come one by one.
  if (event.kind === "session.closed") return;
  const isOver = moving.busyUntilMs !== null && step.nowMs >= moving.busyUntilMs;
  for (const session of state.sessions.values()) {
    // M1. A probe is nobody's task: its worker need not stay for it.
    const isBusy = [...session.modelsByAttempt.keys()].some(
      (attempt) => state.attempts.get(attempt)?.entry.probe === null,
    );
    if (isBusy && !isOver) continue;
    const reason = awayReason(moving);
    step.effects.push({ kind: "close", sessionId: session.id, close: "restart", reason });
  }
}

function awayReason({ spreadMs }: Moving): string {
  return `this hub sends its workers elsewhere; spread_ms=${spreadMs}`;
}

/** Whether a hub lets nobody in because it sends its workers elsewhere. */
export function isShut({ moving, sessions }: HubState, nowMs: number): boolean {
  if (moving === null) return false;
  const { shutUntilMs = null } = moving;
  if (shutUntilMs === null) return true;
  return sessions.size === 0 && nowMs < shutUntilMs;
}

/** Whether a worker that has proved itself cannot come in; it is told when to come back. */
export function turnAway(
  state: HubState,
  event: Extract<HubEvent, { kind: "session.opened" }>,
  isKnown: boolean,
  step: StepContext,
): boolean {
  const { sessionId } = event;
  const { moving, sessions, config } = state;
  if (moving !== null && isShut(state, step.nowMs)) {
    const reason = awayReason(moving);
    step.effects.push({ kind: "close", sessionId, close: "restart", reason });
    return true;
  }
  // Its own older connection makes room for a newer one.
  if (isKnown || sessions.size < config.sessionsMax) return false;
  const reason = `this hub has ${sessions.size} workers; spread_ms=${spreadMsFor(sessions.size)}`;
  step.effects.push({ kind: "close", sessionId, close: "hubFull", reason });
  return true;
}
