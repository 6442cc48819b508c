import { commandNames, type CommandName, formOf } from "./command-forms.ts";
import { optionsOf, type Words } from "./form.ts";

/** A script that completes octo's words in fish, each with what it means. */
export function fishCompletion(): string {
  const firsts = new Map<string, string>();
  for (const name of commandNames) {
    const [first = "", verb] = name.split(" ");
    firsts.set(first, verb === undefined ? formOf(name).summary : `${first} of your account`);
  }
  const commands = [...firsts].map(
    ([first, summary]) =>
      `complete -c octo -n __fish_use_subcommand -a ${first} -d ${quoted(summary)}`,
  );
  return [
    "# Completes octo in fish: octo completion fish > ~/.config/fish/completions/octo.fish",
    "function __octo_models",
    "    set -l cache $XDG_CACHE_HOME",
    '    test -n "$cache"; or set cache $HOME/.cache',
    "    test -r $cache/octo/models; and cat $cache/octo/models",
    "end",
    "",
    "# Whether these words, options aside, come behind octo.",
    "function __octo_is",
    "    set -l typed (string match -v -- '-*' (commandline -opc))",
    "    set -l last (math (count $argv) + 1)",
    '    test "$typed[2..$last]" = "$argv"',
    "end",
    "",
    "complete -c octo -f",
    "complete -c octo -n __fish_use_subcommand -l version -d 'which octo this is'",
    "complete -c octo -n __fish_use_subcommand -a help -d 'what a command does'",
    `complete -c octo -n '__octo_is help' -a '${[...firsts.keys()].join(" ")}'`,
    ...commands,
    ...commandNames.flatMap((name) => [...verbLines(name), ...linesOf(name)]),
    "",
  ].join("\n");
}

function verbLines(name: CommandName): string[] {
  const [first = "", verb] = name.split(" ");
  if (verb === undefined) return [];
  const verbs = commandNames
    .filter((one) => one.startsWith(`${first} `))
    .map((one) => one.slice(first.length + 1));
  const isFree = `__octo_is ${first}; and not __fish_seen_subcommand_from ${verbs.join(" ")}`;
  return [`complete -c octo -n '${isFree}' -a ${verb} -d ${quoted(formOf(name).summary)}`];
}

function linesOf(name: CommandName): string[] {
  const form = formOf(name);
  const when = `complete -c octo -n '__octo_is ${name}'`;
  const options = Object.entries(optionsOf(form)).map(([option, { shape, short, help, words }]) => {
    const letter = short === undefined ? "" : ` -s ${short}`;
    const value = shape === null ? "" : ` ${words === "files" ? "-rF" : "-x"}${offer(words)}`;
    return `${when} -l ${option}${letter}${value} -d ${quoted(help)}`;
  });
  return form.words === undefined ? options : [`${when}${offer(form.words)}`, ...options];
}

function offer(words: Words | undefined): string {
  if (words === undefined || words === "files") return "";
  return ` -a '${words === "models" ? "(__octo_models)" : words.join(" ")}'`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
