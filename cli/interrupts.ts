/**
 * What Ctrl-C means now: it goes to who took it last, and ends the command where nobody did. One
 * that comes while the command is ending already is the entry's to obey.
 */
export class Interrupts {
  readonly #command = new AbortController();
  readonly #takers: (() => void)[] = [];

  /** Aborted once the command is to end. */
  get signal(): AbortSignal {
    return this.#command.signal;
  }

  raise(): void {
    const taker = this.#takers.at(-1);
    if (taker === undefined) this.end();
    else taker();
  }

  end(): void {
    this.#command.abort();
  }

  /** Takes Ctrl-C until disposed of. */
  take(taker: () => void): Disposable {
    this.#takers.push(taker);
    return {
      [Symbol.dispose]: () => {
        const at = this.#takers.indexOf(taker);
        if (at >= 0) this.#takers.splice(at, 1);
      },
    };
  }
}
