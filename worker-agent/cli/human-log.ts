import type { Log, LogFields, LogLevel } from "../../shared/log.ts";
import { createLog } from "../../shared/log.ts";
import type { Style, Terminal } from "./terminal.ts";

const order: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const styles: Record<LogLevel, Style> = {
  debug: "dim",
  info: "bold",
  warn: "yellow",
  error: "red",
};

/** Lines for people on a terminal, JSON lines for programs. */
export function createTerminalLog(terminal: Terminal, least: LogLevel, isJson: boolean): Log {
  if (isJson || !terminal.isInteractive) {
    return createLog((line) => terminal.write(stamp(line)), least);
  }
  return (level, message, fields = {}) => {
    if (order[level] < order[least]) return;
    const time = terminal.paint("dim", new Date().toTimeString().slice(0, 8));
    const said = terminal.paint(styles[level], printable(message));
    terminal.write(`${time} ${said}${formatFields(fields, terminal)}`);
  };
}

/** Says everything to both. */
export function bothLogs(one: Log, other: Log): Log {
  return (level, message, fields) => {
    one(level, message, fields);
    other(level, message, fields);
  };
}

/** JSON lines with their time, for a file. */
export function createFileLog(write: (line: string) => void, least: LogLevel): Log {
  return createLog((line) => write(stamp(line)), least);
}

/** The shared log leaves the time to the platform; a provider's machine has none that adds it. */
function stamp(line: string): string {
  return `{"time":${JSON.stringify(new Date().toISOString())},${line.slice(1)}`;
}

function formatFields(fields: LogFields, terminal: Terminal): string {
  let text = "";
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    text += ` ${terminal.paint("dim", `${name}=`)}${printable(String(value))}`;
  }
  return text;
}

/** What hubs and files say must not steer the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, "?");
}
