import { commandNames, type CommandName, formOf } from "./command-forms.ts";
import { type OptionForm, optionsOf, type Words } from "./form.ts";

/** A script that completes octo's words in zsh, each with what it means. */
export function zshCompletion(): string {
  const families = new Map<string, CommandName[]>();
  for (const name of commandNames) {
    const [first = ""] = name.split(" ");
    families.set(first, [...(families.get(first) ?? []), name]);
  }
  const firsts = [...families].map(([first, names]) => {
    const [only] = names;
    const isOne = names.length === 1 && only !== undefined && only === first;
    const summary = isOne ? formOf(only).summary : `${first}: ${names.map(verbOf).join(", ")}`;
    return `    ${quoted(`${first}:${summary}`)}`;
  });
  return `#compdef octo
# Completes octo in zsh: octo completion zsh > "\${fpath[1]}/_octo"
_octo_models() {
  local file="\${XDG_CACHE_HOME:-$HOME/.cache}/octo/models"
  local -a names
  [[ -r "$file" ]] && names=("\${(@f)$(<"$file")}")
  # Taken as they are: nothing in a name is expanded.
  compadd -a names
}

_octo() {
  local -a firsts
  firsts=(
${firsts.join("\n")}
  )
  if (( CURRENT == 3 )) && [[ "$words[2]" == help ]]; then
    _describe command firsts
    return
  fi
  if (( CURRENT == 2 )); then
    firsts+=('help:what a command does')
    _describe command firsts
    return
  fi
  local command="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$command" in
${[...families].flatMap(([first, names]) => familyCase(first, names)).join("\n")}
  esac
}

if [[ "$funcstack[1]" == _octo ]]; then
  _octo "$@"
else
  compdef _octo octo
fi
`;
}

function verbOf(name: CommandName): string {
  return name.slice(name.indexOf(" ") + 1);
}

function familyCase(first: string, names: readonly CommandName[]): string[] {
  const [only] = names;
  if (names.length === 1 && only === first) return [`    ${first})`, argumentsOf(only), "      ;;"];
  const verbs = names.map((name) => quoted(`${verbOf(name)}:${formOf(name).summary}`));
  return [
    `    ${first})`,
    "      if (( CURRENT == 2 )); then",
    `        local -a verbs=(${verbs.join(" ")})`,
    "        _describe verb verbs",
    "        return",
    "      fi",
    '      local verb="$words[2]"',
    "      shift words",
    "      (( CURRENT-- ))",
    '      case "$verb" in',
    ...names.flatMap((name) => [`    ${verbOf(name)})`, argumentsOf(name), "      ;;"]),
    "      esac",
    "      ;;",
  ];
}

function argumentsOf(name: CommandName): string {
  const form = formOf(name);
  const options = Object.entries(optionsOf(form)).map(optionSpec);
  const places = form.args.map((arg) => {
    const kind = arg.includes("…") ? "*" : arg.startsWith("[") ? ":" : "";
    return quoted(`${kind}:${plain(arg)}:${action(form.words)}`);
  });
  const specs = [...options, ...places].map((spec) => `        ${spec}`).join(" \\\n");
  return `      _arguments \\\n${specs}`;
}

function optionSpec([name, { shape, help, words }]: [string, OptionForm]): string {
  const value = shape === null ? "" : `:${plain(shape)}:${action(words)}`;
  return quoted(`--${name}[${plain(help)}]${value}`);
}

function action(words: Words | undefined): string {
  if (words === undefined) return " ";
  if (words === "models") return "_octo_models";
  if (words === "files") return "_files";
  return `(${words.join(" ")})`;
}

/** Colons and brackets divide the parts of a description. */
function plain(text: string): string {
  return text.replace(/[[\]…]/g, "").replaceAll(":", "\\:");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
