import type {
  PoolEffect,
  PoolEvent,
  PooledModel,
  PoolSettings,
  PoolState,
  PoolStep,
} from "./pool.ts";

/**
 * P1. A model that a task runs on is never unloaded.
 * P2. One load or unload at a time, of all models: two loads at once would count the same free
 *     memory twice.
 * P3. Tasks that want one model share its load; every one of them is granted or denied once, unless
 *     it gives up first.
 * P4. Where there is no room, the model that was idle for the longest makes it, and the load is
 *     tried again; where none can, the load has failed.
 * P5. A model that loads slowly is unloaded only while the provider needs the machine, and is
 *     loaded again right after.
 */

/** A pool without models, as at the start. */
export function createPool(settings: PoolSettings): PoolState {
  return { settings, models: new Map(), queue: [], isResting: false };
}

function newModel(loadMs: number, nowMs: number): PooledModel {
  const phase = { kind: "loaded" } as const;
  const unused = { uses: 0, waiting: [], lastUsedMs: nowMs };
  return { phase, ...unused, loadMs, isStale: false, trouble: null };
}

/** What follows from one event: the next state, and what is to be done in this order. */
export function reducePool(state: PoolState, event: PoolEvent, nowMs: number): PoolStep {
  switch (event.kind) {
    case "add":
      return { state: withModel(state, event.model, newModel(event.loadMs, nowMs)), effects: [] };
    case "make-room": {
      const idlest = idlestOf(state);
      return idlest === null ? { state, effects: [] } : unload(state, idlest);
    }
    case "rest":
      return onRest(state, event.isResting, nowMs);
    case "tick":
      return onTick(state, nowMs);
    default: {
      const model = state.models.get(event.model);
      return model === undefined ? { state, effects: [] } : onModel(state, event, model, nowMs);
    }
  }
}

type ModelEvent = Exclude<PoolEvent, { kind: "add" | "make-room" | "rest" | "tick" }>;

function onModel(state: PoolState, event: ModelEvent, model: PooledModel, nowMs: number): PoolStep {
  const name = event.model;
  switch (event.kind) {
    case "want":
      return onWant(state, name, model, event.ticket);
    case "abandon": {
      const waiting = model.waiting.filter((ticket) => ticket !== event.ticket);
      return { state: withModel(state, name, { ...model, waiting }), effects: [] };
    }
    case "release": {
      const freed = { ...model, uses: Math.max(0, model.uses - 1), lastUsedMs: nowMs };
      const isIdle = freed.uses === 0 && freed.phase.kind === "loaded";
      const next = withModel(state, name, freed);
      return isIdle && freed.isStale ? unload(next, name) : { state: next, effects: [] };
    }
    case "loaded":
      return onLoaded(state, name, { ...model, loadMs: event.loadMs, lastUsedMs: nowMs });
    case "load-failed":
      return onLoadFailed(state, name, model, event);
    case "unloaded": {
      // P5: the provider may have stopped needing the machine while it was unloaded.
      const isMissed = !state.isResting && isSlow(state, model);
      const isWanted = model.isStale || isMissed || model.waiting.length > 0;
      const gone = { ...model, phase: { kind: "unloaded" }, isStale: false } as const;
      const next = withModel(state, name, gone);
      return advance(isWanted ? enqueue(next, name) : next, []);
    }
    case "reopen":
      return onReopen(state, name, model);
  }
}

function onWant(state: PoolState, name: string, model: PooledModel, ticket: number): PoolStep {
  const { phase } = model;
  if (phase.kind === "loaded" && !model.isStale) {
    const used = withModel(state, name, { ...model, uses: model.uses + 1 });
    return { state: used, effects: [{ kind: "grant", model: name, ticket }] };
  }
  if (phase.kind === "failed") {
    return { state, effects: [{ kind: "deny", model: name, ticket, code: phase.code }] };
  }
  const waiting = [...model.waiting, ticket];
  const next = withModel(state, name, { ...model, waiting });
  return phase.kind === "unloaded"
    ? advance(enqueue(next, name), [])
    : { state: next, effects: [] };
}

/** P3 */
function onLoaded(state: PoolState, name: string, model: PooledModel): PoolStep {
  const effects: PoolEffect[] = model.waiting.map((ticket) => ({
    kind: "grant",
    model: name,
    ticket,
  }));
  const loaded: PooledModel = {
    ...model,
    phase: { kind: "loaded" },
    uses: model.uses + model.waiting.length,
    waiting: [],
    isStale: false,
    trouble: null,
  };
  return advance(withModel(state, name, loaded), effects);
}

/** P4 */
function onLoadFailed(
  state: PoolState,
  name: string,
  model: PooledModel,
  failure: Extract<PoolEvent, { kind: "load-failed" }>,
): PoolStep {
  const { code, reason } = failure;
  const idlest = code === "out_of_memory" ? idlestOf(state) : null;
  if (idlest !== null) {
    const queued = { ...model, phase: { kind: "queued" } } as const;
    const queue = [name, ...state.queue];
    return unload({ ...withModel(state, name, queued), queue }, idlest);
  }
  const effects: PoolEffect[] = model.waiting.map((ticket) => ({
    kind: "deny",
    model: name,
    ticket,
    code,
  }));
  const phase = { kind: "failed", code } as const;
  const failed = { ...model, phase, waiting: [], trouble: reason };
  return advance(withModel(state, name, failed), effects);
}

const isOpenedAgain = "It failed, and is opened again";

function onReopen(state: PoolState, name: string, failed: PooledModel): PoolStep {
  const model = { ...failed, trouble: failed.trouble ?? isOpenedAgain };
  switch (model.phase.kind) {
    case "loaded": {
      const stale = withModel(state, name, { ...model, isStale: true });
      // P1: the last task to leave starts it.
      return model.uses > 0 ? { state: stale, effects: [] } : unload(stale, name);
    }
    case "unloading":
      return { state: withModel(state, name, { ...model, isStale: true }), effects: [] };
    case "unloaded":
    case "failed":
      return advance(enqueue(withModel(state, name, model), name), []);
    case "queued":
    case "loading":
      return { state: withModel(state, name, model), effects: [] };
  }
}

function onRest(state: PoolState, isResting: boolean, nowMs: number): PoolStep {
  const next = { ...state, isResting };
  if (isResting) return onTick(next, nowMs);
  let woken: PoolState = next;
  for (const [name, model] of next.models) {
    // P5
    const isMissed = model.phase.kind === "unloaded" && isSlow(next, model);
    if (isMissed) woken = enqueue(woken, name);
  }
  return advance(woken, []);
}

/** Unloads what nobody asked for lately, one model at a time. */
function onTick(state: PoolState, nowMs: number): PoolStep {
  const { idleMs } = state.settings;
  for (const [name, model] of state.models) {
    if (!isIdle(model)) continue;
    const isUnused = idleMs !== null && nowMs - model.lastUsedMs >= idleMs;
    if (state.isResting || (isUnused && !isSlow(state, model))) return unload(state, name);
  }
  return { state, effects: [] };
}

function isIdle(model: PooledModel): boolean {
  return model.phase.kind === "loaded" && model.uses === 0;
}

/** Whether nobody would wait for this model to be loaded. */
export function isSlow(state: Pick<PoolState, "settings">, model: PooledModel): boolean {
  return model.loadMs > state.settings.quickLoadMs;
}

function idlestOf(state: PoolState): string | null {
  let found: { readonly name: string; readonly lastUsedMs: number } | null = null;
  for (const [name, model] of state.models) {
    if (!isIdle(model) || isSlow(state, model)) continue;
    const { lastUsedMs } = model;
    if (found === null || lastUsedMs < found.lastUsedMs) found = { name, lastUsedMs };
  }
  return found?.name ?? null;
}

function isBusy(state: PoolState): boolean {
  return [...state.models.values()].some(
    ({ phase }) => phase.kind === "loading" || phase.kind === "unloading",
  );
}

/** P2: while another is loaded or unloaded, a stale model waits for the next tick or release. */
function unload(state: PoolState, name: string): PoolStep {
  const model = state.models.get(name);
  if (model === undefined || isBusy(state)) return { state, effects: [] };
  const next = withModel(state, name, { ...model, phase: { kind: "unloading" } });
  return { state: next, effects: [{ kind: "unload", model: name }] };
}

function enqueue(state: PoolState, name: string): PoolState {
  const model = state.models.get(name);
  if (model === undefined) return state;
  const queued = withModel(state, name, { ...model, phase: { kind: "queued" } });
  return { ...queued, queue: [...state.queue, name] };
}

/** Begins the next load where nothing else is under way, or what a stale model waits for. */
function advance(state: PoolState, effects: readonly PoolEffect[]): PoolStep {
  if (isBusy(state)) return { state, effects };
  const [stale] = [...state.models].find(([, model]) => model.isStale && isIdle(model)) ?? [];
  if (stale !== undefined) {
    const step = unload(state, stale);
    return { state: step.state, effects: [...effects, ...step.effects] };
  }
  const [name, ...queue] = state.queue;
  const model = name === undefined ? undefined : state.models.get(name);
  if (name === undefined || model === undefined) return { state, effects };
  const loading = withModel({ ...state, queue }, name, { ...model, phase: { kind: "loading" } });
  return { state: loading, effects: [...effects, { kind: "load", model: name }] };
}

function withModel(state: PoolState, name: string, model: PooledModel): PoolState {
  return { ...state, models: new Map(state.models).set(name, model) };
}
