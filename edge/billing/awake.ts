import { Later } from "../later.ts";
import { hasMemory } from "./account-state.ts";
import type { Books } from "./books.ts";
import type { Replies } from "./replies.ts";

/** An object without a timer is put to sleep after ten seconds and evicted after a minute or so. */
const awakeMs = 5_000;

/** Keeps an Account's object in memory while it holds anything there that storage does not know. */
export class Awake {
  readonly #later: Later;

  constructor(books: Books, replies: Replies) {
    this.#later = new Later(async () => {
      const { state } = books;
      const isHolding = state !== null && hasMemory(state, Date.now());
      if (isHolding || replies.isRunning) this.stay();
    });
  }

  stay(): void {
    this.#later.arm(awakeMs);
  }
}
