import { homedir } from "node:os";
import { join } from "node:path";
import { assert } from "../../shared/assert.ts";
import { readConfig } from "../config.ts";
import type { Autostart } from "../autostart/autostart.ts";
import { autostartOf } from "../autostart/autostart.ts";
import { autostartCommand } from "../autostart/autostart-command.ts";
import { absoluteValue } from "./absolute-paths.ts";
import type { Inputs } from "./find-settings.ts";
import type { Call } from "./parse-command-line.ts";
import { settingNames, settings } from "./settings.ts";
import type { Terminal } from "./terminal.ts";

const verbs = ["install", "uninstall", "status", "show"] as const;
type Verb = (typeof verbs)[number];

/** Lets the system's service manager run this worker, or stops doing so. */
export async function autostart(
  inputs: Inputs,
  terminal: Terminal,
  { args }: Call,
): Promise<number> {
  const verb = verbs.find((name) => name === args[0]);
  assert(verb !== undefined, "the command line is of the command's form");
  const system = autostartOf(process.platform, homedir());
  return perform(verb, { system, inputs, terminal });
}

async function perform(
  verb: Verb,
  of: { readonly system: Autostart; readonly inputs: Inputs; readonly terminal: Terminal },
): Promise<number> {
  const { system, inputs, terminal } = of;
  const { stateDir, drainMs, json } = readConfig(inputs);
  const say = (fields: Readonly<Record<string, string | boolean | null>>, lines: string[]) => {
    if (json) terminal.write(JSON.stringify(fields));
    else for (const line of lines) terminal.write(line);
  };
  switch (verb) {
    case "install":
    case "show": {
      const script = process.argv[1] ?? "";
      const flags = flagsOf(inputs, join(stateDir, "models"));
      const command = autostartCommand({ script, stateDir, drainMs, flags });
      const { path } = system;
      if (verb === "show") {
        const text = system.describe(command).trimEnd();
        say({ under: system.name, path, text }, [text]);
        return 0;
      }
      const left = await system.install(command);
      const { logs } = await system.state(stateDir);
      say({ installed: true, under: system.name, path, logs, left_to_do: left }, [
        `Service   ${terminal.paint("green", "installed and running")} (${path})`,
        `Log       ${logs}`,
        `Secrets   HF_TOKEN and the like: ${system.secrets(stateDir)}`,
        ...(left === null ? [] : [`To do     ${left}`]),
      ]);
      return 0;
    }
    case "uninstall":
      await system.uninstall();
      say({ installed: false, under: system.name }, [
        "Service   removed; the identity, models and receipts stay where they are",
      ]);
      return 0;
    case "status": {
      const { isInstalled, isRunning, logs } = await system.state(stateDir);
      const { path } = system;
      const fields = { installed: isInstalled, running: isRunning, under: system.name };
      say({ ...fields, path, logs }, [
        `Service   ${isInstalled ? (isRunning ? "running" : "installed, not running") : "none"}`,
        ...(isInstalled ? [`File      ${path}`, `Log       ${logs}`] : []),
      ]);
      return isRunning ? 0 : 1;
    }
  }
}

/** The flags given, so that the service starts as this command line would have. */
function flagsOf(inputs: Inputs, modelsFolder: string): string[] {
  const words: string[] = [];
  for (const name of settingNames) {
    if (name === "stateDir" || name === "json" || name === "as") continue;
    const { flag, shape } = settings[name];
    for (const [at, value] of (inputs.flags[name] ?? []).entries()) {
      const said = absoluteValue(name, value, modelsFolder);
      words.push(`--${flag}`, ...(shape === null ? [] : [said]));
      const as = name === "model" ? (inputs.flags.as?.[at] ?? "") : "";
      if (as !== "") words.push("--as", as);
    }
  }
  return words;
}
