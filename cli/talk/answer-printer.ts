import { plainText } from "../screen/plain-text.ts";
import type { Terminal } from "../screen/terminal.ts";
import type { Listener } from "./stream-answer.ts";

/**
 * Writes an answer as it comes. A terminal gets nothing that it would obey; a program gets every
 * byte. Thoughts are for people only, and fainter.
 */
export class AnswerPrinter implements Listener {
  readonly #terminal: Terminal;
  readonly #isSilent: boolean;
  #last: "nothing" | "reasoning" | "text" = "nothing";
  #endsLine = true;

  constructor(terminal: Terminal, isSilent: boolean) {
    this.#terminal = terminal;
    this.#isSilent = isSilent;
  }

  readonly text = (part: string): void => {
    if (this.#isSilent) return;
    if (this.#last === "reasoning") this.#print("\n\n");
    this.#last = "text";
    this.#print(this.#terminal.isInteractive ? plainText(part) : part);
  };

  readonly reasoning = (part: string): void => {
    if (this.#isSilent || !this.#terminal.isInteractive) return;
    this.#last = "reasoning";
    this.#print(plainText(part), true);
  };

  readonly resuming = (): void => {
    if (!this.#endsLine) this.#terminal.hint("\n");
    this.#terminal.error("octo: the connection was lost; taking the answer up again");
  };

  /** Brings the next line to the margin. */
  end(): void {
    if (!this.#endsLine) this.#print("\n");
  }

  #print(text: string, isFaint = false): void {
    if (text === "") return;
    this.#endsLine = text.endsWith("\n");
    this.#terminal.print(isFaint ? this.#terminal.paint("dim", text) : text);
  }
}
