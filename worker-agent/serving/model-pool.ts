import type { Log } from "../../shared/log.ts";
import { describeError } from "../../shared/log.ts";
import type { Engine, EngineErrorCode } from "../engine/engine.ts";
import { EngineError } from "../engine/engine.ts";
import { ModelError } from "../models/model-error.ts";
import { LazyEngine } from "./lazy-engine.ts";
import type { PoolEffect, PoolEvent, PooledModel, PoolSettings, PoolState } from "./pool.ts";
import { createPool, isSlow, reducePool } from "./pool-state.ts";

/** An engine, and how long its model took to load: without what was fetched or read for it once. */
export interface OpenedModel {
  readonly engine: Engine;
  readonly loadMs: number;
}

export interface PoolMember {
  readonly name: string;
  readonly opened: OpenedModel;
  /** Opens the same model again. */
  open(signal: AbortSignal): Promise<OpenedModel>;
}

/** Often enough for idleness counted in minutes. */
const tickMs = 1_000;

/** A driver that hangs must not keep the other models from being loaded. */
const closeWithinMs = 10_000;

interface Lease {
  readonly resolve: (engine: Engine | null) => void;
  readonly reject: (error: EngineError) => void;
}

/** The models that this process loads and unloads: performs what the pool's reducer asks for. */
export class ModelPool implements AsyncDisposable {
  readonly #members = new Map<string, PoolMember>();
  readonly #log: Log;
  readonly #engines = new Map<string, Engine>();
  readonly #leases = new Map<number, Lease>();
  readonly #leaving = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  #state: PoolState;
  #tickets = 0;

  /** Called when a model has been loaded, or could not be. */
  onLoad: (name: string) => void = () => undefined;

  constructor(settings: PoolSettings, log: Log) {
    this.#log = log;
    this.#state = createPool(settings);
    this.#timer = setInterval(() => this.#dispatch({ kind: "tick" }), tickMs);
    this.#timer.unref();
  }

  /**
   * Takes a model that is loaded; the pool disposes of it. Gives it as an engine that is loaded
   * when a task wants it.
   */
  add(member: PoolMember): Engine {
    const { name, opened } = member;
    this.#members.set(name, member);
    this.#engines.set(name, opened.engine);
    this.#dispatch({ kind: "add", model: name, loadMs: opened.loadMs });
    return new LazyEngine(opened.engine, {
      lease: (signal) => this.#lease(name, signal),
      release: () => this.#dispatch({ kind: "release", model: name }),
      loaded: () => this.#loaded(name),
      trouble: () => this.#model(name)?.trouble ?? null,
      waitingCount: () => this.#model(name)?.waiting.length ?? 0,
    });
  }

  /** Unloads the model that was idle for the longest; false where none can go. */
  async makeRoom(): Promise<boolean> {
    const before = this.#underWay.size;
    this.#dispatch({ kind: "make-room" });
    const isUnloading = this.#underWay.size > before;
    await Promise.all(this.#underWay);
    return isUnloading;
  }

  /** What the loaded models take, as far as their engines can tell. */
  get heldBytes(): number {
    let bytes = 0;
    for (const engine of this.#engines.values()) bytes += engine.stats().memoryBytes ?? 0;
    return bytes;
  }

  has(name: string): boolean {
    return this.#members.has(name);
  }

  /** Whether a task could have the model now, or soon enough to wait for it. */
  isAtHand(name: string): boolean {
    const model = this.#model(name);
    if (model === undefined) return true;
    return (model.phase.kind === "loaded" && !model.isStale) || !isSlow(this.#state, model);
  }

  isLoaded(name: string): boolean {
    return this.#loaded(name) !== null;
  }

  /** Opens a model again that has failed, as soon as nothing runs on it. */
  reopen(name: string): void {
    this.#dispatch({ kind: "reopen", model: name });
  }

  /** While the provider needs the machine, what is idle gives its memory back. */
  rest(isResting: boolean): void {
    if (isResting !== this.#state.isResting) this.#dispatch({ kind: "rest", isResting });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#leaving.abort();
    for (const { resolve } of this.#leases.values()) resolve(null);
    this.#leases.clear();
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    for (const engine of this.#engines.values()) await engine[Symbol.asyncDispose]();
    this.#engines.clear();
  }

  #model(name: string): PooledModel | undefined {
    return this.#state.models.get(name);
  }

  #loaded(name: string): Engine | null {
    const phase = this.#model(name)?.phase.kind;
    return phase === "loaded" ? (this.#engines.get(name) ?? null) : null;
  }

  #lease(name: string, signal: AbortSignal): Promise<Engine | null> {
    if (signal.aborted || this.#leaving.signal.aborted) return Promise.resolve(null);
    const ticket = (this.#tickets += 1);
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        if (!this.#leases.delete(ticket)) return;
        this.#dispatch({ kind: "abandon", model: name, ticket });
        resolve(null);
      };
      const forget = () => signal.removeEventListener("abort", onAbort);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#leases.set(ticket, {
        resolve: (engine) => {
          forget();
          resolve(engine);
        },
        reject: (error) => {
          forget();
          reject(error);
        },
      });
      this.#dispatch({ kind: "want", model: name, ticket });
    });
  }

  #dispatch(event: PoolEvent): void {
    if (this.#leaving.signal.aborted) return;
    const step = reducePool(this.#state, event, performance.now());
    this.#state = step.state;
    for (const effect of step.effects) this.#perform(effect);
    if (event.kind === "loaded" || event.kind === "load-failed") this.onLoad(event.model);
  }

  #perform(effect: PoolEffect): void {
    switch (effect.kind) {
      case "load":
        return this.#track(this.#load(effect.model));
      case "unload":
        return this.#track(this.#unload(effect.model));
      case "grant":
        this.#take(effect.ticket)?.resolve(this.#engines.get(effect.model) ?? null);
        return;
      case "deny": {
        const message = "Cannot serve: the model could not be loaded again";
        this.#take(effect.ticket)?.reject(new EngineError(effect.code, message));
        return;
      }
    }
  }

  #take(ticket: number): Lease | undefined {
    const lease = this.#leases.get(ticket);
    this.#leases.delete(ticket);
    return lease;
  }

  #track(work: Promise<void>): void {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  async #load(name: string): Promise<void> {
    const member = this.#members.get(name);
    if (member === undefined) return;
    try {
      const { engine, loadMs } = await member.open(this.#leaving.signal);
      this.#engines.set(name, engine);
      if (engine.model.digest !== member.opened.engine.model.digest) {
        await this.#close(name);
        const reason = "Its file is another one than at the start: restart octo-worker";
        this.#dispatch({ kind: "load-failed", model: name, code: "engine_failed", reason });
        return;
      }
      this.#log("info", "Loaded again", { model: name, ms: Math.round(loadMs) });
      this.#dispatch({ kind: "loaded", model: name, loadMs });
    } catch (error) {
      const isSentence = error instanceof ModelError || error instanceof EngineError;
      const reason = isSentence ? error.message : describeError(error);
      this.#dispatch({ kind: "load-failed", model: name, code: codeOf(error), reason });
    }
  }

  async #unload(name: string): Promise<void> {
    await this.#close(name);
    this.#log("info", "Unloaded", { model: name });
    this.#dispatch({ kind: "unloaded", model: name });
  }

  async #close(name: string): Promise<void> {
    const engine = this.#engines.get(name);
    this.#engines.delete(name);
    if (engine === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const reason = new Error(`it takes longer than ${closeWithinMs / 1_000} s`);
      timer = setTimeout(() => reject(reason), closeWithinMs);
    });
    try {
      await Promise.race([engine[Symbol.asyncDispose](), late]);
    } catch (error) {
      // A broken engine may not even close; its memory is the next load's to miss.
      this.#log("warn", "An engine did not close", { model: name, error: describeError(error) });
    } finally {
      clearTimeout(timer);
    }
  }
}

function codeOf(error: unknown): EngineErrorCode {
  if (error instanceof ModelError && error.code === "does_not_fit") return "out_of_memory";
  return error instanceof EngineError ? error.code : "engine_failed";
}
