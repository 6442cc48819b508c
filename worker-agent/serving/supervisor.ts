import { describeError } from "../../shared/log.ts";
import type { Engine, EngineHealth } from "../engine/engine.ts";
import type { SupervisionEffect, SupervisionEvent, SupervisionState } from "./supervision.ts";
import { createSupervision, reduceSupervision } from "./supervision-state.ts";

export interface SupervisorOptions {
  readonly enginesByModel: ReadonlyMap<string, Engine>;
  /** Opens an engine of this process again; it does nothing for one of another. */
  readonly reopen: (model: string) => void;
  readonly onTurn: (model: string, health: EngineHealth, before: EngineHealth) => void;
}

/** Engines are to answer within a second; one that takes twice as long hangs. */
const answerWithinMs = 2_000;

/** Looks after the engines: performs what the reducer asks for. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #leaving = new AbortController();
  #state: SupervisionState;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#state = createSupervision([...options.enginesByModel.keys()], performance.now());
  }

  health(model: string): EngineHealth {
    const unknown = { kind: "failing", reason: "It is not supervised" } as const;
    return this.#state.get(model)?.health ?? unknown;
  }

  tell(event: SupervisionEvent): void {
    if (this.#leaving.signal.aborted) return;
    const before = this.#state;
    const step = reduceSupervision(before, event, performance.now());
    this.#state = step.state;
    for (const effect of step.effects) this.#perform(effect, before);
  }

  stop(): void {
    this.#leaving.abort();
  }

  #perform(effect: SupervisionEffect, before: SupervisionState): void {
    switch (effect.kind) {
      case "look":
        if (effect.isRetry) this.#options.reopen(effect.model);
        void this.#look(effect.model);
        return;
      case "turned":
        return this.#turn(effect.model, effect.health, before);
    }
  }

  #turn(model: string, health: EngineHealth, before: SupervisionState): void {
    const watched = before.get(model);
    if (watched !== undefined) this.#options.onTurn(model, health, watched.health);
  }

  async #look(model: string): Promise<void> {
    const engine = this.#options.enginesByModel.get(model);
    if (engine === undefined) return;
    const late = new AbortController();
    const signal = AbortSignal.any([this.#leaving.signal, late.signal]);
    const timer = setTimeout(() => late.abort(), answerWithinMs);
    const gone = new Promise<EngineHealth>((resolve) => {
      const reason = `It does not say how it is within ${answerWithinMs / 1_000} s`;
      signal.addEventListener("abort", () => resolve({ kind: "failing", reason }), { once: true });
    });
    const failed = (error: unknown): EngineHealth => ({
      kind: "failing",
      reason: `It cannot say how it is: ${describeError(error)}`,
    });
    const health = await Promise.race([engine.health(signal).catch(failed), gone]);
    clearTimeout(timer);
    this.tell({ kind: "looked", model, health });
  }
}
