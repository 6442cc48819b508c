import { parseArgs } from "node:util";
import type { Inputs } from "./find-settings.ts";
import type { SettingName } from "./settings.ts";
import { settingNames, settings } from "./settings.ts";

export const commandNames = ["init", "start", "status", "doctor"] as const;
export type CommandName = (typeof commandNames)[number];

/** A command line nobody can obey: one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export type CommandLine =
  | { readonly kind: "version" }
  | { readonly kind: "help"; readonly command: CommandName | null }
  | { readonly kind: "command"; readonly command: CommandName; readonly flags: Inputs["flags"] };

/** The settings a command takes as flags. */
export function settingsOf(command: CommandName): readonly SettingName[] {
  return command === "status" ? ["stateDir", "json"] : settingNames;
}

/**
 * Reads what follows `octo-worker`. Without a command it starts. Throws UsageError with the way
 * out.
 */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const first = args[0];
  const named = first !== undefined && !first.startsWith("-") ? first : null;
  if (named === "help") return { kind: "help", command: commandNamed(args[1] ?? null) };
  const command = commandNamed(named);
  const { values, tokens } = parse(args.slice(named === null ? 0 : 1), command ?? "start");
  if (values["help"] === true) return { kind: "help", command };
  if (values["version"] === true) return { kind: "version" };
  const flags = flagsOf(tokens);
  return { kind: "command", command: command ?? "start", flags };
}

function commandNamed(text: string | null): CommandName | null {
  if (text === null) return null;
  const found = commandNames.find((name) => name === text);
  if (found !== undefined) return found;
  throw new UsageError(
    `Cannot run ${JSON.stringify(text)}: the commands are ${commandNames.join(", ")}; ` +
      "see octo-worker --help",
  );
}

interface Token {
  readonly kind: string;
  readonly name?: string;
  readonly value?: string | undefined;
}

function parse(
  args: string[],
  command: CommandName,
): { readonly values: Readonly<Record<string, unknown>>; readonly tokens: readonly Token[] } {
  const options: Record<
    string,
    { type: "string" | "boolean"; short?: string; multiple?: boolean }
  > = { help: { type: "boolean", short: "h" }, version: { type: "boolean", short: "v" } };
  for (const name of settingsOf(command)) {
    const { flag, shape } = settings[name];
    options[flag] = { type: shape === null ? "boolean" : "string", multiple: true };
  }
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: false, tokens: true });
  } catch (error) {
    // Its messages name the flag; only their first sentence is about the mistake itself.
    const message = error instanceof Error ? (error.message.split(/[.\n]/)[0] ?? "") : "";
    throw new UsageError(`${message}; see octo-worker ${command} --help`, { cause: error });
  }
}

/** The values of the flags given. `--as` belongs to the `--model` before it. */
function flagsOf(tokens: readonly Token[]): Inputs["flags"] {
  const flags: Partial<Record<SettingName, string[]>> = {};
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const name = settingNames.find((candidate) => settings[candidate].flag === token.name);
    if (name === undefined) continue;
    const value = settings[name].shape === null ? "true" : (token.value ?? "");
    if (name === "model") {
      (flags.model ??= []).push(value);
      (flags.as ??= []).push("");
    } else if (name === "as") {
      const names = flags.as;
      if (names === undefined) throw new UsageError("--as names the --model before it: give one");
      names[names.length - 1] = value;
    } else flags[name] = [value];
  }
  return flags;
}
