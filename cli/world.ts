import type { Readable, Writable } from "node:stream";
import type { Interrupts } from "./interrupts.ts";
import type { Terminal } from "./screen/terminal.ts";

/** All that a command has of the machine it runs on. */
export interface World {
  readonly terminal: Terminal;
  readonly input: Input;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /** The folder it was called in. */
  readonly cwd: string;
  readonly interrupts: Interrupts;
  readonly nowMs: () => number;
}

/** Where a command reads. */
export interface Input {
  readonly stream: Readable;
  /** Where what is typed is shown. */
  readonly echo: Writable;
  /** Whether a person types. */
  readonly isInteractive: boolean;
}
