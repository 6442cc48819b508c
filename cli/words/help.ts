import { version } from "../version.ts";
import { type CommandName, commandInWords, commandNames, formOf } from "./command-forms.ts";
import { type OptionForm, commonOptions, edgeOptions } from "./form.ts";

/** The text of `octo --help`, or of the commands that were asked about. */
export function helpText(names: readonly CommandName[]): string {
  const [only] = names;
  if (only === undefined) return generalHelp();
  return names.length === 1 ? helpOf(only) : familyHelp(names);
}

function generalHelp(): string {
  return [
    `octo ${version}: the command line of the CipherOcto network.`,
    "",
    "Usage: octo COMMAND [options]",
    "",
    ...commandNames.map(summaryLine),
    "",
    "Each command explains itself: octo ask --help. All of them take --json.",
    "",
    "Examples:",
    "  octo login --url https://edge.example",
    '  octo ask "What is this?"',
    "  octo usage --by model --json",
  ].join("\n");
}

function familyHelp(names: readonly CommandName[]): string {
  const family = names[0]?.split(" ")[0] ?? "";
  return [
    ...names.map((name, at) => `${at === 0 ? "Usage:" : "      "} octo ${commandInWords(name)}`),
    "",
    ...names.map(summaryLine),
    "",
    `Each explains itself: octo ${names[0]} --help.`,
    "",
    "Examples:",
    ...names.flatMap((name) => formOf(name).examples.slice(0, 1)).map((one) => `  ${one}`),
    "",
    `octo help ${family} is this text.`,
  ].join("\n");
}

function summaryLine(name: CommandName): string {
  return `  ${name.padEnd(16)}${formOf(name).summary}`;
}

function helpOf(name: CommandName): string {
  const form = formOf(name);
  const own = Object.entries(form.options);
  return [
    `Usage: octo ${commandInWords(name)} [options]`,
    "",
    form.text,
    "",
    ...(own.length === 0 ? [] : ["Options:", ...own.map(optionLine), ""]),
    ...(form.asksEdge ? ["Which edge, and as whom:", ...entriesOf(edgeOptions), ""] : []),
    "Always:",
    ...entriesOf(commonOptions),
    "",
    ...(form.asksEdge
      ? [
          "An option wins over its variable, and that over what octo login stored. Without any of",
          "them it is the network that npm start runs in this repository.",
          "",
        ]
      : []),
    "Examples:",
    ...form.examples.map((example) => `  ${example}`),
  ].join("\n");
}

function entriesOf(options: Readonly<Record<string, OptionForm>>): string[] {
  return Object.entries(options).map(optionLine);
}

function optionLine([name, { shape, short, help }]: readonly [string, OptionForm]): string {
  const long = `--${name}${shape === null ? "" : ` ${shape}`}`;
  const form = short === undefined ? long : `${long}, -${short}`;
  return `  ${form.padEnd(24)}${help}`;
}
