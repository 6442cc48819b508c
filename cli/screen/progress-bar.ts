import { count } from "./in-words.ts";
import type { Terminal } from "./terminal.ts";

const barColumns = 24;
/** Ten times a second look smooth, and cost nothing. */
const drawEveryMs = 100;

/** One line that tells how far something is, drawn again in its place; only where one watches. */
export class ProgressBar implements Disposable {
  readonly #terminal: Terminal;
  readonly #label: string;
  readonly #nowMs: () => number;
  #drawnMs = Number.NEGATIVE_INFINITY;

  constructor(label: string, terminal: Terminal, nowMs: () => number) {
    this.#label = label;
    this.#terminal = terminal;
    this.#nowMs = nowMs;
  }

  draw(done: number, total: number | null): void {
    const nowMs = this.#nowMs();
    if (!this.#terminal.isWatched || nowMs - this.#drawnMs < drawEveryMs) return;
    this.#drawnMs = nowMs;
    const line = progressLine(this.#label, done, total);
    // Back to the margin, the new line, and nothing of the old one behind it.
    this.#terminal.hint(`\r${line}\u001b[K`);
  }

  /** Takes the line away, so that the next one begins at the margin. */
  [Symbol.dispose](): void {
    if (this.#drawnMs !== Number.NEGATIVE_INFINITY) this.#terminal.hint("\r\u001b[K");
    this.#drawnMs = Number.NEGATIVE_INFINITY;
  }
}

/** How far, of how much. */
export function progressLine(label: string, done: number, total: number | null): string {
  if (total === null) return `${label}  ${count(done)}`;
  // More may come while it runs: no bar is over its end.
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.floor(share * barColumns);
  const bar = "█".repeat(filled) + "░".repeat(barColumns - filled);
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `${label}  ${bar}  ${percent} %  ${count(done)} of ${count(Math.max(done, total))}`;
}
