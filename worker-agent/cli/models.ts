import { join } from "node:path";
import type { Log } from "../../shared/log.ts";
import type { Config } from "../config.ts";
import { readConfig } from "../config.ts";
import { ModelStore } from "../models/store.ts";
import type { Inputs } from "./find-settings.ts";
import { createTerminalLog } from "./human-log.ts";
import { addModelCommand } from "./models-add.ts";
import { listModels } from "./models-list.ts";
import { signModel } from "./models-sign.ts";
import { verifyModels } from "./models-verify.ts";
import type { Call } from "./parse-command-line.ts";
import { UsageError } from "./parse-command-line.ts";
import type { ProgressBar } from "./progress-bar.ts";
import { barFor, bytesInWords, logOver } from "./progress-bar.ts";
import type { Terminal } from "./terminal.ts";

/** What every verb of `models` works with. */
export interface ModelsWorld {
  readonly config: Config;
  readonly modelsFolder: string;
  readonly store: ModelStore;
  readonly terminal: Terminal;
  /** Where progress is drawn; null where nobody watches. */
  readonly bar: ProgressBar | null;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly own: Call["own"];
}

/** The models kept on this machine. Ctrl-C leaves what was fetched, to go on there. */
export async function models(inputs: Inputs, terminal: Terminal, call: Call): Promise<number> {
  const config = readConfig(inputs);
  const modelsFolder = join(config.stateDir, "models");
  const bar = barFor(terminal, config.json);
  const said = createTerminalLog(terminal, config.logLevel, false);
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  process.once("SIGINT", leave);
  process.once("SIGTERM", leave);
  const world: ModelsWorld = {
    config,
    modelsFolder,
    store: new ModelStore(modelsFolder),
    terminal,
    bar,
    // What a command answers is JSON where it is asked for, and nothing else.
    log: config.json ? () => undefined : logOver(bar, said),
    signal: leaving.signal,
    own: call.own,
  };
  try {
    return await perform(world, call);
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
    terminal.error("Stopped: the same command goes on where this one was");
    return 1;
  } finally {
    bar?.clear();
    process.off("SIGINT", leave);
    process.off("SIGTERM", leave);
  }
}

async function perform(world: ModelsWorld, { args, own }: Call): Promise<number> {
  const [verb = "", argument = ""] = args;
  refuseFlags(verb, own);
  switch (verb) {
    case "add":
      return addModelCommand(world, argument);
    case "list":
      return listModels(world);
    case "remove":
      return removeModel(world, argument);
    case "verify":
      return verifyModels(world, args[1] ?? null);
    default:
      return signModel(world, argument);
  }
}

const flagsByVerb: Readonly<Record<string, readonly string[]>> = {
  add: ["as", "manifest"],
  sign: ["as", "license", "release", "key"],
};

function refuseFlags(verb: string, own: Call["own"]): void {
  const known = flagsByVerb[verb] ?? [];
  const stray = Object.keys(own).find((flag) => !known.includes(flag));
  if (stray === undefined) return;
  throw new UsageError(
    `octo-worker models ${verb} takes no --${stray}; see octo-worker models --help`,
  );
}

async function removeModel(world: ModelsWorld, name: string): Promise<number> {
  const { store, terminal, config } = world;
  const removed = await store.remove(name);
  if (removed === null) {
    terminal.error(`Cannot remove ${name}: no model is kept under it; see octo-worker models list`);
    return 1;
  }
  const { deletedBytes } = removed;
  if (config.json) terminal.write(JSON.stringify({ removed: name, deleted_bytes: deletedBytes }));
  else {
    const freed = deletedBytes === 0 ? "its files stay" : `${bytesInWords(deletedBytes)} freed`;
    terminal.write(`Removed ${name}: ${freed}`);
  }
  return 0;
}
