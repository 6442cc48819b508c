import { columnsOf } from "./table.ts";
import { plainLine } from "./plain-text.ts";
import type { Terminal } from "./terminal.ts";

/** Names with what they stand for, one a line; those without a value are left out. */
export function writeFacts(
  facts: readonly (readonly [name: string, value: string | null | undefined])[],
  terminal: Terminal,
): void {
  const known = facts.flatMap(([name, value]) =>
    value === null || value === undefined ? [] : [[name, value] as const],
  );
  const width = Math.max(...known.map(([name]) => columnsOf(name)));
  for (const [name, value] of known) {
    terminal.write(`${terminal.paint("dim", name.padEnd(width))}  ${plainLine(value)}`);
  }
}
