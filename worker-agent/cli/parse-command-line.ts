import { parseArgs } from "node:util";
import type { Inputs } from "./find-settings.ts";
import type { CommandName } from "./command-forms.ts";
import { commandNames, formOf, verbsInWords } from "./command-forms.ts";
import type { SettingName } from "./settings.ts";
import { listSettings, settingNames, settings } from "./settings.ts";

/** A command line nobody can obey: one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export type CommandLine =
  | { readonly kind: "version" }
  | { readonly kind: "help"; readonly command: CommandName | null }
  | ({
      readonly kind: "command";
      readonly command: CommandName;
      readonly flags: Inputs["flags"];
    } & Call);

/** What a command was told beside its settings. */
export interface Call {
  /** The verb and its arguments, as many as the command's form asks for. */
  readonly args: readonly string[];
  /** The values of the flags that only this command has. */
  readonly own: Readonly<Record<string, string>>;
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
  const name = command ?? "start";
  const isOwn = (token: Token) => Object.hasOwn(formOf(name).flags, token.name ?? "");
  const own = tokens.filter(isOwn).map((token) => [token.name, token.value ?? ""] as const);
  return {
    kind: "command",
    command: name,
    flags: flagsOf(tokens.filter((token) => !isOwn(token))),
    args: argsOf(tokens, name),
    own: Object.fromEntries(own),
  };
}

/** The verb and what follows it. Throws UsageError where the command's form is another. */
function argsOf(tokens: readonly Token[], command: CommandName): readonly string[] {
  const args = tokens.flatMap(({ kind, value }) => (kind === "positional" ? [value ?? ""] : []));
  const { verbs } = formOf(command);
  const see = `; see octo-worker ${command} --help`;
  const [verb, ...rest] = args;
  if (Object.keys(verbs).length === 0) {
    if (verb === undefined) return args;
    throw new UsageError(`octo-worker ${command} takes no ${JSON.stringify(verb)}${see}`);
  }
  const wanted = Object.hasOwn(verbs, verb ?? "") ? verbs[verb ?? ""] : undefined;
  if (wanted === undefined) {
    const said = verb === undefined ? `${command}` : `${command} ${verb}`;
    const known = verbsInWords(command).join(", ");
    throw new UsageError(`Cannot run ${JSON.stringify(said)}: what follows is ${known}${see}`);
  }
  const least = wanted.filter((name) => !name.startsWith("[")).length;
  if (rest.length >= least && rest.length <= wanted.length) return args;
  const form = wanted.length === 0 ? "nothing" : wanted.join(" ");
  const given = rest.length === 0 ? "nothing" : rest.map((arg) => JSON.stringify(arg)).join(" ");
  throw new UsageError(`octo-worker ${command} ${verb} takes ${form}, not ${given}${see}`);
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
  const form = formOf(command);
  for (const name of form.settings) {
    const { flag, shape } = settings[name];
    options[flag] = { type: shape === null ? "boolean" : "string", multiple: true };
  }
  for (const [flag, { shape }] of Object.entries(form.flags)) {
    options[flag] = { type: shape === null ? "boolean" : "string" };
  }
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: true, tokens: true });
  } catch (error) {
    // Its messages name the flag; only their first sentence is about the mistake itself.
    const message = error instanceof Error ? (error.message.split(/[.\n]/)[0] ?? "") : "";
    throw new UsageError(`${message}; see octo-worker ${command} --help`, { cause: error });
  }
}

/** The values of the flags given. `--as` belongs to the model before it. */
function flagsOf(tokens: readonly Token[]): Inputs["flags"] {
  const flags: Partial<Record<SettingName, string[]>> = {};
  let isAfterUpstream = false;
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const name = settingNames.find((candidate) => settings[candidate].flag === token.name);
    if (name === undefined) continue;
    const value = settings[name].shape === null ? "true" : (token.value ?? "");
    if (name === "model" || name === "upstreamModel") isAfterUpstream = name === "upstreamModel";
    if (name === "model") {
      (flags.model ??= []).push(value);
      (flags.as ??= []).push("");
    } else if (name === "as" && isAfterUpstream) {
      const wanted = flags.upstreamModel ?? [];
      wanted.push(`${wanted.pop()}=${value}`);
    } else if (name === "as") {
      const names = flags.as;
      if (names === undefined) throw new UsageError("--as names the --model before it: give one");
      names[names.length - 1] = value;
    } else if (listSettings.has(name)) (flags[name] ??= []).push(value);
    else flags[name] = [value];
  }
  return flags;
}
