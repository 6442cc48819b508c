import { parseArgs } from "node:util";
import { UsageError } from "../failures.ts";
import { type CommandName, commandInWords, commandNames, formOf } from "./command-forms.ts";
import { type CommandForm, optionsOf } from "./form.ts";

export type CommandLine =
  | { readonly kind: "version" }
  /** Of these commands; of all where there are none. */
  | { readonly kind: "help"; readonly names: readonly CommandName[] }
  | ({ readonly kind: "command"; readonly name: CommandName } & Call);

/** What a command was told. */
export interface Call {
  readonly args: readonly string[];
  /** The values of the options given, by name; a switch has an empty one. */
  readonly options: Readonly<Record<string, string>>;
}

/** Reads what follows `octo`. Throws UsageError with the way out. */
export function parseCommandLine(words: readonly string[]): CommandLine {
  const [first, ...others] = words;
  if (first === undefined || first === "--help" || first === "-h") return helpOn([]);
  if (first === "--version" || first === "-v") return { kind: "version" };
  if (first === "help") return helpOn(others);
  if (first.startsWith("-")) {
    throw new UsageError(`${JSON.stringify(first)} comes behind a command; see octo --help`);
  }
  const { name, rest } = commandIn(words);
  if (name === null) return helpOn([first]);
  const form = formOf(name);
  const tokens = tokensOf(name, form, rest);
  const options: Record<string, string> = {};
  for (const { kind, name: option = "", value = "" } of tokens) {
    if (kind !== "option") continue;
    if (option === "help") return helpOn([name]);
    if (Object.hasOwn(options, option)) {
      throw new UsageError(`--${option} is given twice; ${seeHelp(name)}`);
    }
    options[option] = value;
  }
  const args = tokens.flatMap(({ kind, value }) => (kind === "positional" ? [value ?? ""] : []));
  assertArgs(name, form, args);
  return { kind: "command", name, args, options };
}

/** The command that words begin with, and what follows; null for help on a family of them. */
function commandIn(words: readonly string[]) {
  const [first = "", second, ...rest] = words;
  const single = commandNames.find((name) => name === first);
  if (single !== undefined) return { name: single, rest: words.slice(1) };
  const family = familyOf(first);
  if (family.length === 0) throw unknownCommand(first);
  if (second === "--help" || second === "-h") return { name: null, rest };
  const alone = family.find((name) => formOf(name).standsAlone === true);
  const isAlone = second === undefined || second.startsWith("-");
  if (alone !== undefined && isAlone) return { name: alone, rest: words.slice(1) };
  const named = commandNames.find((name) => name === `${first} ${second}`);
  if (named === undefined) throw unknownVerb(first, second, family);
  return { name: named, rest };
}

/** The commands of two words that begin with this one. */
function familyOf(first: string): CommandName[] {
  return commandNames.filter((name) => name.startsWith(`${first} `));
}

function helpOn(words: readonly string[]): CommandLine {
  const asked = words.join(" ");
  if (asked === "") return { kind: "help", names: [] };
  const named = commandNames.filter((name) => name === asked);
  const names = named.length > 0 ? named : familyOf(asked);
  if (names.length === 0) throw unknownCommand(asked);
  return { kind: "help", names };
}

function unknownCommand(word: string): UsageError {
  const families = [...new Set(commandNames.map((name) => name.split(" ")[0]))].join(", ");
  const said = JSON.stringify(word);
  return new UsageError(`Cannot run ${said}: the commands are ${families}; see octo --help`);
}

function unknownVerb(first: string, second: string | undefined, family: CommandName[]): UsageError {
  const said = JSON.stringify(second === undefined ? first : `${first} ${second}`);
  const known = family.map((name) => commandInWords(name).slice(first.length + 1)).join(", ");
  return new UsageError(
    `Cannot run ${said}: what follows ${first} is ${known}; see octo ${first} --help`,
  );
}

interface Token {
  readonly kind: string;
  readonly name?: string;
  readonly value?: string | undefined;
}

function tokensOf(name: CommandName, form: CommandForm, args: readonly string[]): Token[] {
  const options = Object.fromEntries(
    Object.entries(optionsOf(form)).map(([option, { shape, short }]) => [
      option,
      { type: shape === null ? "boolean" : "string", ...(short === undefined ? {} : { short }) },
    ]),
  ) as Record<string, { type: "string" | "boolean"; short?: string }>;
  try {
    return parseArgs({
      args: [...args],
      options,
      strict: true,
      allowPositionals: true,
      tokens: true,
    }).tokens;
  } catch (error) {
    // Its messages name the option; only their first sentence is about the mistake itself.
    const message = error instanceof Error ? (error.message.split(/[.\n]/)[0] ?? "") : "";
    throw new UsageError(`${message}; ${seeHelp(name)}`, { cause: error });
  }
}

function assertArgs(name: CommandName, form: CommandForm, args: readonly string[]): void {
  const least = form.args.filter((arg) => !arg.startsWith("[")).length;
  const most = form.args.some((arg) => arg.includes("…")) ? Infinity : form.args.length;
  if (args.length >= least && args.length <= most) return;
  const wanted = form.args.length === 0 ? "nothing" : form.args.join(" ");
  const given = args.length === 0 ? "nothing" : args.map((arg) => JSON.stringify(arg)).join(" ");
  throw new UsageError(`octo ${name} takes ${wanted}, not ${given}; ${seeHelp(name)}`);
}

function seeHelp(name: CommandName): string {
  return `see octo ${name} --help`;
}
