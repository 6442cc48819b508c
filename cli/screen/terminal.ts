/** Where a command writes. */
export interface Terminal {
  /** One line for the reader or the next program. */
  write(line: string): void;
  /** Text of an answer as it comes, whose end is not known yet. */
  print(text: string): void;
  /** One line about what went wrong, or beside what was asked for. */
  error(line: string): void;
  /** Text beside what was asked for that stays on its line: a prompt, a progress bar. */
  hint(text: string): void;
  /** Whether people read the output, not a program. */
  readonly isInteractive: boolean;
  /** Whether people read what goes beside the output. */
  readonly isWatched: boolean;
  /** How wide the reader's screen is; null where a program reads. */
  readonly columns: number | null;
  /** Colours, where the terminal shows them and NO_COLOR (no-color.org) does not ask for none. */
  readonly paint: (style: Style, text: string) => string;
  /** As `paint`, for what goes beside the output. */
  readonly paintBeside: (style: Style, text: string) => string;
}

export type Style = "bold" | "dim" | "green" | "yellow" | "red";

const codes: Record<Style, readonly [number, number]> = {
  bold: [1, 22],
  dim: [2, 22],
  green: [32, 39],
  yellow: [33, 39],
  red: [31, 39],
};

/** A terminal that does not tell its width has what they had for decades. */
const columnsDefault = 80;

export function systemTerminal(env: Readonly<Record<string, string | undefined>>): Terminal {
  const { stdout, stderr } = process;
  const isInteractive = stdout.isTTY;
  const mayPaint = (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  return {
    write: (line) => void stdout.write(`${line}\n`),
    print: (text) => void stdout.write(text),
    error: (line) => void stderr.write(`${line}\n`),
    hint: (text) => void stderr.write(text),
    isInteractive,
    isWatched: stderr.isTTY,
    get columns() {
      if (!isInteractive) return null;
      return stdout.columns > 0 ? stdout.columns : columnsDefault;
    },
    paint: painter(mayPaint && isInteractive),
    paintBeside: painter(mayPaint && stderr.isTTY),
  };
}

function painter(hasColours: boolean): Terminal["paint"] {
  return (style, text) => {
    const [on, off] = codes[style];
    return hasColours ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  };
}
