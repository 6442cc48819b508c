import type { ErrorCode } from "../../../shared/errors.ts";
import type { TaskRecord } from "../../../edge/billing/closing.ts";
import type { GatheredAnswer } from "../../../edge/inference/whole-answer.ts";
import type { World } from "../world.ts";

/** Who answers, as the hub tells the front Worker. */
export interface Source {
  readonly attempt: string;
  readonly model: string;
  readonly digest: string;
}

/**
 * What a front Worker hears of one task from one hub: the outcomes of `Hub.run` and the pieces of
 * its stream.
 */
export type RunEvent =
  | {
      readonly kind: "failed";
      readonly code: ErrorCode;
      readonly attempts: number;
      readonly record: TaskRecord | null;
    }
  | { readonly kind: "whole"; readonly source: Source; readonly answer: GatheredAnswer }
  | { readonly kind: "stream"; readonly source: Source }
  | { readonly kind: "chunk"; readonly text: string }
  | { readonly kind: "closed" }
  /** The hub was reset under the call or under the stream. */
  | { readonly kind: "lost" };

/**
 * The way back of one RPC: ordered, broken by a reset of its hub, left by a consumer that hangs up.
 */
export class RunPipe {
  readonly #world: World;
  readonly #listener: (event: RunEvent) => void;
  #lastMs = 0;
  #isOpen = true;
  #isLeft = false;

  constructor(world: World, listener: (event: RunEvent) => void) {
    this.#world = world;
    this.#listener = listener;
  }

  /** Whether somebody at the other end may still be told. */
  get isOpen(): boolean {
    return this.#isOpen && !this.#isLeft;
  }

  send(event: RunEvent): void {
    if (!this.#isOpen) return;
    const { random, schedule, options } = this.#world;
    this.#lastMs = Math.max(this.#lastMs, schedule.nowMs + random.delayMs(options.delayMs / 4));
    schedule.at(this.#lastMs, () => {
      if (!this.#isLeft) this.#listener(event);
    });
  }

  /** The hub is gone: what it had sent may still arrive, then the loss is noticed. */
  lose(): void {
    this.send({ kind: "lost" });
    this.#isOpen = false;
  }

  /** The front Worker no longer listens. */
  leave(): void {
    this.#isLeft = true;
  }
}
