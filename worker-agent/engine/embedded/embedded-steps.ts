import type { Step, Steps, TokenId } from "./embedded-model.ts";

/**
 * The steps of one choice, of which the next may be asked for before the one before it is dealt
 * with: llama.cpp computes on threads of its own, and text is made and sent in that time.
 */
export class StepsAhead {
  readonly #steps: Steps;
  #pending: Promise<IteratorResult<Step, unknown>> | null = null;

  constructor(steps: Steps) {
    this.#steps = steps;
  }

  /** The next step; `given` takes the place of the token before it, unless it was asked for. */
  next(given?: TokenId): Promise<IteratorResult<Step, unknown>> {
    const step = this.#pending ?? this.#steps.next(given);
    this.#pending = null;
    return step;
  }

  /** Begins the step after the one just taken. */
  ask(): void {
    const pending = this.#steps.next();
    // Whoever takes the step meets its failure; one that nobody takes is met by `close`.
    pending.catch(() => {});
    this.#pending = pending;
  }

  /** Ends the steps. False where the last of them failed, which leaves its sequence unknown. */
  async close(): Promise<boolean> {
    const pending = this.#pending;
    this.#pending = null;
    const isWell =
      pending === null ||
      (await pending.then(
        () => true,
        () => false,
      ));
    await this.#steps.return?.();
    return isWell;
  }
}
