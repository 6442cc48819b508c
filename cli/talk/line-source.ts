import { createInterface } from "node:readline";
import type { World } from "../world.ts";
import { TypedHistory } from "./typed-history.ts";

export type NextLine =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "interrupt" }
  | { readonly kind: "end" };

/** Where a chat's lines come from. */
export interface LineSource extends Disposable {
  next(prompt: string): Promise<NextLine>;
}

export async function lineSource(world: World): Promise<LineSource> {
  return world.input.isInteractive
    ? new TypedLines(world, await TypedHistory.load(world))
    : new PipedLines(world);
}

/**
 * Lines that a person types. The terminal is only in our hands while a line is asked for: during an
 * answer it is its own again, so that Ctrl-C is a signal and what is typed ahead is kept by it.
 */
class TypedLines implements LineSource {
  readonly #world: World;
  readonly #history: TypedHistory;

  constructor(world: World, history: TypedHistory) {
    this.#world = world;
    this.#history = history;
  }

  async next(prompt: string): Promise<NextLine> {
    const { stream: input, echo: output } = this.#world.input;
    const history = this.#history.newestFirst;
    const reader = createInterface({ input, output, terminal: true, history, prompt });
    try {
      const next = await new Promise<NextLine>((resolve) => {
        reader.once("line", (text) => resolve({ kind: "line", text }));
        reader.once("SIGINT", () => resolve({ kind: "interrupt" }));
        reader.once("close", () => resolve({ kind: "end" }));
        reader.prompt();
      });
      if (next.kind === "line") await this.#history.add(next.text);
      else output.write("\n");
      return next;
    } finally {
      reader.close();
    }
  }

  [Symbol.dispose](): void {
    this.#world.input.stream.pause();
  }
}

/** Lines that another program sends. */
class PipedLines implements LineSource {
  readonly #reader: ReturnType<typeof createInterface>;
  readonly #lines: AsyncIterator<string>;
  readonly #interrupted: Promise<NextLine>;

  constructor({ input, interrupts: { signal } }: World) {
    this.#reader = createInterface({ input: input.stream, crlfDelay: Infinity });
    this.#lines = this.#reader[Symbol.asyncIterator]();
    this.#interrupted = new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve({ kind: "interrupt" }), { once: true });
    });
  }

  next(): Promise<NextLine> {
    const line = this.#lines
      .next()
      .then(({ done, value }): NextLine =>
        done === true ? { kind: "end" } : { kind: "line", text: value },
      );
    return Promise.race([line, this.#interrupted]);
  }

  [Symbol.dispose](): void {
    this.#reader.close();
  }
}
