/** Where a command writes. */
export interface Terminal {
  /** One line for the reader or the next program. */
  write(line: string): void;
  /** One line about what went wrong. */
  error(line: string): void;
  /** Whether people read along, not a program. */
  readonly isInteractive: boolean;
  /** Colours, where the terminal shows them and NO_COLOR (no-color.org) does not ask for none. */
  readonly paint: (style: Style, text: string) => string;
}

export type Style = "bold" | "dim" | "green" | "yellow" | "red";

const codes: Record<Style, readonly [number, number]> = {
  bold: [1, 22],
  dim: [2, 22],
  green: [32, 39],
  yellow: [33, 39],
  red: [31, 39],
};

export function systemTerminal(): Terminal {
  const isInteractive = process.stdout.isTTY;
  const hasColours = isInteractive && (process.env["NO_COLOR"] ?? "") === "";
  return {
    write: (line) => process.stdout.write(`${line}\n`),
    error: (line) => process.stderr.write(`${line}\n`),
    isInteractive,
    paint: (style, text) => {
      const [on, off] = codes[style];
      return hasColours ? `\u001b[${on}m${text}\u001b[${off}m` : text;
    },
  };
}
