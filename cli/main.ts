import { describeError } from "../shared/log.ts";
import { audit } from "./commands/audit.ts";
import { ask } from "./commands/ask.ts";
import { balance } from "./commands/balance.ts";
import { chat } from "./commands/chat.ts";
import type { Command } from "./commands/command.ts";
import { completion } from "./commands/completion.ts";
import { createKey, listKeys, revokeKey, rotateKey } from "./commands/keys.ts";
import { listings } from "./commands/listings.ts";
import { login, logout } from "./commands/login.ts";
import { models } from "./commands/models.ts";
import { restore } from "./commands/restore.ts";
import { task, tasks } from "./commands/tasks.ts";
import { topUp } from "./commands/top-up.ts";
import { usage } from "./commands/usage.ts";
import { whoami } from "./commands/whoami.ts";
import { addWorker, listTakenWorkers, removeWorker } from "./commands/workers.ts";
import { CommandError, Interrupted, UsageError } from "./failures.ts";
import { plainLine } from "./screen/plain-text.ts";
import { version } from "./version.ts";
import type { CommandName } from "./words/command-forms.ts";
import { helpText } from "./words/help.ts";
import { type CommandLine, parseCommandLine } from "./words/parse-command-line.ts";
import type { World } from "./world.ts";

const commands: Record<CommandName, Command> = {
  login,
  logout,
  whoami,
  models,
  ask,
  chat,
  balance,
  usage,
  tasks,
  task,
  listings,
  "keys list": listKeys,
  "keys create": createKey,
  "keys revoke": revokeKey,
  "keys rotate": rotateKey,
  "workers list": listTakenWorkers,
  "workers add": addWorker,
  "workers remove": removeWorker,
  "top-up": topUp,
  audit,
  restore,
  completion,
};

/**
 * Runs one command line. Gives the exit code: 0 done, 1 it went wrong, 2 it was asked for wrongly,
 * 130 Ctrl-C.
 */
export async function main(words: readonly string[], world: World): Promise<number> {
  const { terminal } = world;
  try {
    return await run(parseCommandLine(words), world);
  } catch (error) {
    if (error instanceof Interrupted || world.interrupts.signal.aborted) return 130;
    const isUsage = error instanceof UsageError;
    const isKnown = isUsage || error instanceof CommandError;
    const said = isKnown
      ? error.message
      : `this octo failed, which is a bug: ${describeError(error)}`;
    terminal.error(`octo: ${plainLine(said, 4_000)}`);
    return isUsage ? 2 : 1;
  }
}

async function run(line: CommandLine, world: World): Promise<number> {
  switch (line.kind) {
    case "version":
      world.terminal.write(`octo ${version}`);
      return 0;
    case "help":
      world.terminal.write(helpText(line.names));
      return 0;
    case "command":
      return commands[line.name](world, line);
  }
}
