import type { EngineHealth } from "../engine/engine.ts";
import type {
  SupervisionEffect,
  SupervisionEvent,
  SupervisionState,
  SupervisionStep,
  Watched,
} from "./supervision.ts";

/**
 * W1. One look at an engine at a time.
 * W2. A failing engine is tried again at growing intervals, and is well only after a look that said
 *     so.
 * W3. An engine that says it is well but failed several tasks in a row is failing: its worker would
 *     draw tasks only to fail them. A look begun before does not bring it back.
 * W4. An engine that fails again soon after it came back waits longer, so that its listing does not
 *     come and go.
 */

/** A model that fails is noticed within this; asking costs an upstream one small request. */
const lookEveryMs = 5_000;
/** The first retry; an upstream that restarts is often back by then. */
const firstRetryMs = 1_000;
/** A GPU that is gone for an hour is asked for sixty times. */
const longestRetryMs = 60_000;
/** What was well for so long has overcome its last failure. */
const steadyMs = 60_000;
/** One task may have been too large, two may be chance. */
const failedTasksMax = 3;

/** Every model is taken for well: it was just opened. */
export function createSupervision(models: readonly string[], nowMs: number): SupervisionState {
  return new Map(models.map((model) => [model, newWatched(nowMs)]));
}

function newWatched(nowMs: number): Watched {
  return {
    health: { kind: "ready" },
    sinceMs: nowMs,
    isLooking: false,
    isLookDue: false,
    isLookStale: false,
    nextLookMs: nowMs + lookEveryMs,
    failures: 0,
    failedTasks: 0,
  };
}

/** What follows from one event: the next state, and what is to be done in this order. */
export function reduceSupervision(
  state: SupervisionState,
  event: SupervisionEvent,
  nowMs: number,
): SupervisionStep {
  if (event.kind === "tick") return onTick(state, nowMs);
  const watched = state.get(event.model);
  if (watched === undefined) return { state, effects: [] };
  switch (event.kind) {
    case "changed":
      return look(state, event.model, watched, false);
    case "looked":
      return onLooked(state, event.model, watched, event.health, nowMs);
    case "task-done":
      return { state: withModel(state, event.model, { ...watched, failedTasks: 0 }), effects: [] };
    case "task-failed":
      return onTaskFailed(state, event, watched, nowMs);
  }
}

function onTick(state: SupervisionState, nowMs: number): SupervisionStep {
  let next = state;
  const effects: SupervisionEffect[] = [];
  for (const [model, watched] of state) {
    if (watched.isLooking || nowMs < watched.nextLookMs) continue;
    const step = look(next, model, watched, watched.health.kind === "failing");
    next = step.state;
    effects.push(...step.effects);
  }
  return { state: next, effects };
}

/** W1 */
function look(
  state: SupervisionState,
  model: string,
  watched: Watched,
  isRetry: boolean,
): SupervisionStep {
  if (watched.isLooking) {
    return { state: withModel(state, model, { ...watched, isLookDue: true }), effects: [] };
  }
  const looking = { ...watched, isLooking: true, isLookDue: false };
  return { state: withModel(state, model, looking), effects: [{ kind: "look", model, isRetry }] };
}

function onLooked(
  state: SupervisionState,
  model: string,
  before: Watched,
  health: EngineHealth,
  nowMs: number,
): SupervisionStep {
  const seen = { ...before, isLooking: false, isLookDue: false, isLookStale: false };
  const step = before.isLookStale
    ? { state: withModel(state, model, seen), effects: [] }
    : health.kind === "failing"
      ? turnFailing(state, model, seen, health, nowMs)
      : turnWell(state, model, seen, health, nowMs);
  const after = step.state.get(model);
  if (!before.isLookDue || after === undefined) return step;
  const again = look(step.state, model, after, false);
  return { state: again.state, effects: [...step.effects, ...again.effects] };
}

function turnWell(
  state: SupervisionState,
  model: string,
  before: Watched,
  health: EngineHealth,
  nowMs: number,
): SupervisionStep {
  const wasFailing = before.health.kind === "failing";
  const isSteady = !wasFailing && nowMs - before.sinceMs >= steadyMs;
  const well: Watched = {
    ...before,
    health,
    nextLookMs: nowMs + lookEveryMs,
    sinceMs: wasFailing ? nowMs : before.sinceMs,
    failures: isSteady ? 0 : before.failures,
    // On probation: what failed its tasks goes again with the next one that fails.
    failedTasks: wasFailing ? Math.min(before.failedTasks, failedTasksMax - 1) : before.failedTasks,
  };
  const effects: SupervisionEffect[] =
    before.health.kind === health.kind ? [] : [{ kind: "turned", model, health }];
  return { state: withModel(state, model, well), effects };
}

/** W2 */
function turnFailing(
  state: SupervisionState,
  model: string,
  watched: Watched,
  health: Extract<EngineHealth, { kind: "failing" }>,
  nowMs: number,
): SupervisionStep {
  const wasFailing = watched.health.kind === "failing";
  const failures = watched.failures + 1;
  const retryMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(failures - 1, 16));
  const failing: Watched = {
    ...watched,
    health,
    sinceMs: wasFailing ? watched.sinceMs : nowMs,
    failures,
    nextLookMs: nowMs + retryMs,
  };
  const isSaid = watched.health.kind === "failing" && watched.health.reason === health.reason;
  const effects: SupervisionEffect[] = isSaid ? [] : [{ kind: "turned", model, health }];
  return { state: withModel(state, model, failing), effects };
}

function onTaskFailed(
  state: SupervisionState,
  event: Extract<SupervisionEvent, { kind: "task-failed" }>,
  before: Watched,
  nowMs: number,
): SupervisionStep {
  // The request's own fault says nothing about the engine.
  const isOurs = event.code === "engine_failed" || event.code === "out_of_memory";
  if (!isOurs) return { state, effects: [] };
  const { model } = event;
  const watched = { ...before, failedTasks: before.failedTasks + 1 };
  // What still fails of a model that is withdrawn changes nothing.
  if (watched.health.kind === "failing") {
    return { state: withModel(state, model, watched), effects: [] };
  }
  if (watched.failedTasks < failedTasksMax) return look(state, model, watched, false);
  // W3
  const reason = `Its last ${watched.failedTasks} tasks failed: ${event.message}`;
  const withdrawn = { ...watched, isLookDue: false, isLookStale: watched.isLooking };
  return turnFailing(state, model, withdrawn, { kind: "failing", reason }, nowMs);
}

function withModel(state: SupervisionState, model: string, watched: Watched): SupervisionState {
  return new Map(state).set(model, watched);
}
