import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { ConfigError } from "./config-error.ts";
import type { SettingName } from "./settings.ts";
import { listSettings, settingNames, settings } from "./settings.ts";
import { path } from "./setting-forms.ts";

const fileValue = z.union([z.string(), z.number(), z.boolean()]);
const fileSchema = z.record(z.string(), z.union([fileValue, z.array(fileValue)]));
export type ConfigFile = z.infer<typeof fileSchema>;

/** Where settings come from, the strongest first. */
export interface Inputs {
  readonly flags: Readonly<Partial<Record<SettingName, readonly string[]>>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file: { readonly path: string; readonly values: ConfigFile };
  readonly home: string;
}

/** A setting's value as text (several where it may be repeated), and who said so. */
export interface Found {
  readonly texts: readonly string[];
  readonly level: "flag" | "env" | "file" | "default";
  readonly from: string;
}

export function findSetting(name: SettingName, inputs: Inputs): Found {
  const { flag, env, file, fallback } = settings[name];
  const fromFlags = inputs.flags[name];
  if (fromFlags !== undefined) return { texts: fromFlags, level: "flag", from: `--${flag}` };
  const fromEnv = inputs.env[env];
  const isList = listSettings.has(name);
  if (fromEnv !== undefined && fromEnv !== "") {
    const texts = isList ? fromEnv.split(",").map((text) => text.trim()) : [fromEnv];
    return { texts, level: "env", from: env };
  }
  const fromFile = inputs.file.values[file];
  const from = `${JSON.stringify(file)} in ${inputs.file.path}`;
  if (Array.isArray(fromFile)) {
    if (!isList) throw new ConfigError(`Cannot use ${from}: it takes one value, not a list`);
    return { texts: fromFile.map(String), level: "file", from };
  }
  if (fromFile !== undefined) return { texts: [String(fromFile)], level: "file", from };
  return { texts: [fallback], level: "default", from: "the default" };
}

/**
 * Reads what `flags` leave open: the environment, and the file in the state folder that both may
 * name.
 */
export function readInputs(
  flags: Inputs["flags"],
  env: Inputs["env"] = process.env,
  home: string = homedir(),
): Inputs {
  const none: Inputs = { flags, env, file: { path: "", values: {} }, home };
  const stateDir = resolve(path(home)(findSetting("stateDir", none)));
  const file = join(stateDir, "config.json");
  return { flags, env, file: { path: file, values: readConfigFile(file) }, home };
}

function readConfigFile(file: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return {};
    throw new ConfigError(`Cannot read ${file}`, { cause: error });
  }
  const parsed = fileSchema.safeParse(parseJson(text, file));
  if (!parsed.success) {
    throw new ConfigError(`Cannot use ${file}: it must be one JSON object of settings`);
  }
  const known = new Set<string>(settingNames.map((name) => settings[name].file));
  for (const key of Object.keys(parsed.data)) {
    if (!known.has(key)) {
      throw new ConfigError(
        `Cannot use ${file}: it has no setting ${JSON.stringify(key)}; ` +
          `the settings are ${[...known].join(", ")}`,
      );
    }
  }
  return parsed.data;
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(`Cannot use ${file}: it is not JSON`, { cause });
  }
}
