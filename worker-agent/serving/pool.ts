import type { EngineErrorCode } from "../engine/engine.ts";

/**
 * The models of one worker and the memory they share. `pool-state.ts` is the function between what
 * happens and what is done; `model-pool.ts` performs it.
 */

export interface PoolSettings {
  /** A model nobody asked for so long is unloaded; null keeps all of them loaded. */
  readonly idleMs: number | null;
  /**
   * A model that takes longer to load stays loaded: whoever asked for it would not wait so long.
   */
  readonly quickLoadMs: number;
}

export type PoolPhase =
  | { readonly kind: "loaded" }
  /** To be loaded when it is its turn. */
  | { readonly kind: "queued" }
  | { readonly kind: "loading" }
  | { readonly kind: "unloading" }
  | { readonly kind: "unloaded" }
  /** It could not be loaded. */
  | { readonly kind: "failed"; readonly code: EngineErrorCode };

export interface PooledModel {
  readonly phase: PoolPhase;
  /** Tasks that run on it. */
  readonly uses: number;
  /** Tasks that wait for it to be loaded, oldest first. */
  readonly waiting: readonly number[];
  readonly lastUsedMs: number;
  /** What its last load took. */
  readonly loadMs: number;
  /** To be opened again once nothing runs on it: it has failed. */
  readonly isStale: boolean;
  /** Why nobody should be sent to it, until it is loaded again; a sentence for the provider. */
  readonly trouble: string | null;
}

export interface PoolState {
  readonly settings: PoolSettings;
  readonly models: ReadonlyMap<string, PooledModel>;
  /** The models to load, in this order. */
  readonly queue: readonly string[];
  /** The provider needs the machine: what is idle gives its memory back. */
  readonly isResting: boolean;
}

export type PoolEvent =
  /** A task wants the model; `ticket` is its own. */
  | { readonly kind: "want"; readonly model: string; readonly ticket: number }
  /** The task does not want it any more; one that was granted releases instead. */
  | { readonly kind: "abandon"; readonly model: string; readonly ticket: number }
  | { readonly kind: "release"; readonly model: string }
  | { readonly kind: "loaded"; readonly model: string; readonly loadMs: number }
  | {
      readonly kind: "load-failed";
      readonly model: string;
      readonly code: EngineErrorCode;
      readonly reason: string;
    }
  | { readonly kind: "unloaded"; readonly model: string }
  /** Open it again, whatever state it is in. */
  | { readonly kind: "reopen"; readonly model: string }
  /** Another model, which is loaded. */
  | { readonly kind: "add"; readonly model: string; readonly loadMs: number }
  /** Something outside needs memory: the model that was idle for the longest goes. */
  | { readonly kind: "make-room" }
  | { readonly kind: "rest"; readonly isResting: boolean }
  | { readonly kind: "tick" };

export type PoolEffect =
  /** Then `loaded` or `load-failed`. */
  | { readonly kind: "load"; readonly model: string }
  /** Then `unloaded`. */
  | { readonly kind: "unload"; readonly model: string }
  | { readonly kind: "grant"; readonly model: string; readonly ticket: number }
  | {
      readonly kind: "deny";
      readonly model: string;
      readonly ticket: number;
      readonly code: EngineErrorCode;
    };

export interface PoolStep {
  readonly state: PoolState;
  readonly effects: readonly PoolEffect[];
}
