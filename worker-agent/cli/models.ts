import type { Inputs } from "./find-settings.ts";
import type { Call } from "./parse-command-line.ts";
import type { Terminal } from "./terminal.ts";

/** The models kept on this machine. */
export async function models(_inputs: Inputs, terminal: Terminal, call: Call): Promise<number> {
  terminal.error(`octo-worker models ${call.args[0] ?? ""} comes with the next commit`);
  return Promise.resolve(1);
}
