import { realpathSync } from "node:fs";
import { join } from "node:path";

/** What a service manager runs, as whom is its own matter. */
export interface AutostartCommand {
  /** The absolute path of this Node. */
  readonly program: string;
  /** The program and what follows it: the script, `start` and its flags. */
  readonly args: readonly string[];
  readonly stateDir: string;
  /** How long a stop may take: the drain and a moment to leave. */
  readonly stopSeconds: number;
}

/** The service cannot be set up as things are: one sentence that says what to do. */
export class AutostartError extends Error {
  override readonly name = "AutostartError";
}

/** A drained worker needs some seconds more to close its engines and its socket. */
const leaveSeconds = 15;

/**
 * The command of this very installation. Throws AutostartError where it is one that vanishes: `npx`
 * keeps packages in a cache that npm empties when it likes.
 */
export function autostartCommand(options: {
  readonly script: string;
  readonly stateDir: string;
  readonly drainMs: number;
  readonly flags: readonly string[];
}): AutostartCommand {
  const script = realpathSync(options.script);
  if (/[/\\]_npx[/\\]/.test(script)) {
    throw new AutostartError(
      "Cannot install a service from npx, whose copy of octo-worker vanishes: " +
        "run npm install -g octo-worker, then octo-worker service install",
    );
  }
  return {
    program: process.execPath,
    args: [script, "start", "--state-dir", options.stateDir, ...options.flags],
    stateDir: options.stateDir,
    stopSeconds: Math.ceil(options.drainMs / 1_000) + leaveSeconds,
  };
}

/** Variables for the service that are no settings: HF_TOKEN and the like, `NAME=value` a line. */
export function environmentPath(stateDir: string): string {
  return join(stateDir, "environment");
}
