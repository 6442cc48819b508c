import type { EngineErrorCode, EngineHealth } from "../engine/engine.ts";

/**
 * What the worker knows about the health of its engines. `supervision-state.ts` is the function
 * between what happens and what is done; `supervisor.ts` performs it.
 */

export interface Watched {
  readonly health: EngineHealth;
  /** Since when it has been well, or failing. */
  readonly sinceMs: number;
  readonly isLooking: boolean;
  /** Something happened since the look began: look once more. */
  readonly isLookDue: boolean;
  /** Its tasks have withdrawn it since the look began: what the look says is no news. */
  readonly isLookStale: boolean;
  readonly nextLookMs: number;
  /** How often it began to fail, without a good minute in between. */
  readonly failures: number;
  /** Tasks that failed one after the other. */
  readonly failedTasks: number;
}

export type SupervisionState = ReadonlyMap<string, Watched>;

export type SupervisionEvent =
  | { readonly kind: "tick" }
  /** Something was done about the engine: look at once. */
  | { readonly kind: "changed"; readonly model: string }
  /** A look has ended. */
  | { readonly kind: "looked"; readonly model: string; readonly health: EngineHealth }
  | { readonly kind: "task-done"; readonly model: string }
  | {
      readonly kind: "task-failed";
      readonly model: string;
      readonly code: EngineErrorCode;
      readonly message: string;
    };

export type SupervisionEffect =
  /** Ask the engine how it is, then `looked`; for a retry it is opened again first. */
  | { readonly kind: "look"; readonly model: string; readonly isRetry: boolean }
  /** The model is served from now on, or is not. */
  | { readonly kind: "turned"; readonly model: string; readonly health: EngineHealth };

export interface SupervisionStep {
  readonly state: SupervisionState;
  readonly effects: readonly SupervisionEffect[];
}
