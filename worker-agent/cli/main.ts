import { IdentityError } from "../identity.ts";
import { ModelError } from "../models/model-error.ts";
import { EngineError } from "../engine/engine.ts";
import { MetricsError } from "../metrics/metrics-server.ts";
import { AutostartError } from "../autostart/autostart-command.ts";
import { LockError } from "../state/lock.ts";
import { describeError } from "../../shared/log.ts";
import { version } from "../version.ts";
import { bench } from "./bench.ts";
import { ConfigError } from "./config-error.ts";
import { doctor } from "./doctor.ts";
import { readInputs } from "./find-settings.ts";
import { generalHelp, helpOf } from "./help.ts";
import { init } from "./init.ts";
import type { CommandName } from "./command-forms.ts";
import { models } from "./models.ts";
import type { Call, CommandLine } from "./parse-command-line.ts";
import { isNodeNewEnough, nodeLeast } from "./runtime-version.ts";
import { parseCommandLine, UsageError } from "./parse-command-line.ts";
import { autostart } from "./autostart.ts";
import { pause } from "./pause.ts";
import { resume } from "./resume.ts";
import { start } from "./start.ts";
import { stop } from "./stop.ts";
import { status } from "./status.ts";
import type { Terminal } from "./terminal.ts";
import { systemTerminal } from "./terminal.ts";
import type { Inputs } from "./find-settings.ts";

type Command = (inputs: Inputs, terminal: Terminal, call: Call) => Promise<number>;

const commands: Record<CommandName, Command> = {
  init,
  start,
  status,
  doctor,
  bench,
  models,
  service: autostart,
  pause,
  resume,
  stop,
};

/**
 * Runs one command line. Gives the exit code: 0 done, 1 it went wrong, 2 it was asked for wrongly.
 */
export async function main(
  args: readonly string[],
  terminal: Terminal = systemTerminal(),
): Promise<number> {
  const { node } = process.versions;
  if (!isNodeNewEnough(node)) {
    terminal.error(`octo-worker needs Node ${nodeLeast} or later, and this is ${node}: update it`);
    return 1;
  }
  try {
    return await run(parseCommandLine(args), terminal);
  } catch (error) {
    const isMisnamed = error instanceof ModelError && error.code === "bad_source";
    if (error instanceof UsageError || error instanceof ConfigError || isMisnamed) {
      terminal.error(error.message);
      return 2;
    }
    const isOurs =
      error instanceof IdentityError ||
      error instanceof LockError ||
      error instanceof ModelError ||
      error instanceof EngineError ||
      error instanceof AutostartError ||
      error instanceof MetricsError;
    terminal.error(isOurs ? error.message : `octo-worker failed: ${describeError(error)}`);
    return 1;
  }
}

async function run(line: CommandLine, terminal: Terminal): Promise<number> {
  switch (line.kind) {
    case "version":
      terminal.write(`octo-worker ${version}`);
      return 0;
    case "help":
      terminal.write(line.command === null ? generalHelp() : helpOf(line.command));
      return 0;
    case "command":
      return commands[line.command](readInputs(line.flags), terminal, line);
  }
}
