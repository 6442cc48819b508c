import { stripVTControlCharacters } from "node:util";

/** What the live screen needs of a terminal's stream. */
export interface ScreenStream {
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

const enter = "\u001b[?1049h\u001b[?25l";
const leave = "\u001b[?25h\u001b[?1049l";
const home = "\u001b[H";
const clearLine = "\u001b[K";
const clearBelow = "\u001b[J";

/**
 * Lines that are drawn over and over on the terminal's other screen, so that what was there before
 * comes back. One write a picture: it never flickers.
 */
export class LiveScreen {
  readonly #stream: ScreenStream;

  constructor(stream: ScreenStream) {
    this.#stream = stream;
    stream.write(enter);
  }

  draw(lines: readonly string[]): void {
    const columns = known(this.#stream.columns, 80);
    const rows = known(this.#stream.rows, 24);
    const shown = lines.slice(0, rows - 1).map((line) => `${cut(line, columns)}${clearLine}`);
    this.#stream.write(`${home}${shown.join("\r\n")}\r\n${clearBelow}`);
  }

  close(): void {
    this.#stream.write(leave);
  }
}

/** A terminal that does not know its size says nothing, or 0. */
function known(size: number | undefined, otherwise: number): number {
  return size === undefined || size < 1 ? otherwise : size;
}

/** A line too long would wrap and push the others off the screen. */
function cut(line: string, columns: number): string {
  const bare = stripVTControlCharacters(line);
  return bare.length <= columns ? line : `${bare.slice(0, columns - 1)}…`;
}
