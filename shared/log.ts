/** Values a log line may carry. Prompts, answers, keys and secrets are never among them. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Log {
  (level: LogLevel, message: string, fields?: LogFields): void;
}

/** A log of one JSON object a line, written by `write`; lines below `least` are dropped. */
export function createLog(write: (line: string) => void, least: LogLevel = "info"): Log {
  const order: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
  return (level, message, fields = {}) => {
    if (order[level] < order[least]) return;
    write(JSON.stringify({ level, message, ...fields }));
  };
}

/** What may be logged of an unknown error: its kind and sentence, never its properties. */
export function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : `thrown ${typeof error}`;
}
