import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readConfig } from "../config.ts";
import { createIdentity, identityPath } from "../identity.ts";
import { takeOnCommand } from "../../shared/protocol/taking-on.ts";
import { absoluteValue } from "./absolute-paths.ts";
import type { ConfigFile, Inputs } from "./find-settings.ts";
import { findSetting } from "./find-settings.ts";
import { listSettings, settingNames, settings } from "./settings.ts";
import type { Terminal } from "./terminal.ts";

/** Makes the identity and writes down every setting that was given. */
export async function init(inputs: Inputs, terminal: Terminal): Promise<number> {
  const config = readConfig(inputs);
  const key = await createIdentity(config.stateDir);
  const { path } = inputs.file;
  const kept = settingsToKeep(inputs, join(config.stateDir, "models"));
  const text = `${JSON.stringify(kept, null, 2)}\n`;
  await writeFile(path, text, { mode: 0o600 });
  if (config.json) {
    terminal.write(
      JSON.stringify({
        worker: key.publicKey,
        identity: identityPath(config.stateDir),
        config: path,
        ...(config.account === null ? {} : { owner_runs: takeOnCommand(key.publicKey) }),
      }),
    );
    return 0;
  }
  terminal.write(`Worker    ${terminal.paint("bold", key.publicKey)}`);
  terminal.write(`Identity  ${identityPath(config.stateDir)} (keep a copy: it is the worker)`);
  terminal.write(`Settings  ${path}`);
  if (config.account !== null) {
    terminal.write(`Account   ${config.account} has to take it on, once; its owner runs:`);
    terminal.write(`          ${terminal.paint("bold", takeOnCommand(key.publicKey))}`);
  }
  terminal.write(`Next      octo-worker doctor, then octo-worker start`);
  return 0;
}

/** What a later start needs to be told again, and the two settings everybody looks for. */
function settingsToKeep(inputs: Inputs, modelsFolder: string): ConfigFile {
  const kept: ConfigFile = {};
  for (const name of settingNames) {
    // The folder is where this file is, and how to write is each call's own matter.
    if (name === "stateDir" || name === "json") continue;
    const { texts, level } = findSetting(name, inputs);
    if (level === "default" && name !== "edge" && name !== "model") continue;
    if (name === "as" && texts.every((text) => text === "")) continue;
    const isList = listSettings.has(name);
    const said = texts.map((text) => absoluteValue(name, text, modelsFolder));
    kept[settings[name].file] = isList ? said : (said[0] ?? "");
  }
  return kept;
}
