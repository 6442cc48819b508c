import { plainLine } from "./plain-text.ts";
import type { Terminal } from "./terminal.ts";

export interface Column {
  readonly title: string;
  /** Numbers end below each other. */
  readonly align?: "left" | "right";
  /** May be cut where the screen is too narrow: what is read by a program never is. */
  readonly canBeCut?: boolean;
}

/** Below this a cut cell tells nothing. */
const cutColumnsMin = 8;
const gap = "  ";

/** Rows under their titles, cut to the screen; nothing is cut or coloured for a program. */
export function writeTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  terminal: Terminal,
): void {
  for (const [at, line] of tableLines(columns, rows, terminal.columns).entries()) {
    terminal.write(at === 0 ? terminal.paint("bold", line) : line);
  }
}

/** The lines of a table, the titles first; `width` is null where there is no screen. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | null,
): string[] {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map((_, at) => plainLine(row[at] ?? ""))),
  ];
  const widths = columns.map((_, at) => Math.max(...cells.map((row) => columnsOf(row[at] ?? ""))));
  if (width !== null) narrow(widths, columns, width);
  return cells.map((row) =>
    row
      .map((cell, at) => fitted(cell, widths[at] ?? 0, columns[at]?.align ?? "left"))
      .join(gap)
      .trimEnd(),
  );
}

/** Takes from the widest columns that may be cut until all fit. */
function narrow(widths: number[], columns: readonly Column[], width: number): void {
  let over = widths.reduce((sum, one) => sum + one, gap.length * (columns.length - 1)) - width;
  while (over > 0) {
    const cuttable = [...widths.keys()].filter(
      (at) => columns[at]?.canBeCut === true && (widths[at] ?? 0) > cutColumnsMin,
    );
    const [widest] = cuttable.sort((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0));
    if (widest === undefined) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over -= 1;
  }
}

function fitted(cell: string, width: number, align: "left" | "right"): string {
  let text = cell;
  if (columnsOf(text) > width) {
    const chars = [...text];
    while (columnsOf(chars.join("")) >= width) chars.pop();
    text = `${chars.join("")}…`;
  }
  const space = " ".repeat(Math.max(0, width - columnsOf(text)));
  return align === "right" ? space + text : text + space;
}

const wideScripts = ["Han", "Hiragana", "Katakana", "Hangul"]
  .map((name) => `\\p{Script=${name}}`)
  .join("");
const wide = new RegExp(`[${wideScripts}\\p{Emoji_Presentation}\uff01-\uff60]`, "u");
const noWidth = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** How much room a text takes on a terminal (Unicode TR 11, near enough for a table). */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const char of text) columns += noWidth.test(char) ? 0 : wide.test(char) ? 2 : 1;
  return columns;
}
