import { commandNames, formOf } from "./command-forms.ts";
import { optionsOf, type Words } from "./form.ts";

/*
 * What is read from the file of models is compared and never evaluated: names come from strangers,
 * and `compgen -W` would expand them. It takes bash 4.
 */

/** What needs to know no command. */
const functions = `# Completes octo in bash; octo help completion tells where it belongs.
_octo_words() {
  local word
  for word in "\${words[@]}"; do
    [[ "$word" == "$current"* ]] && COMPREPLY+=("$word")
  done
}

_octo_models() {
  local -a words=()
  local file="\${XDG_CACHE_HOME:-$HOME/.cache}/octo/models"
  [[ -r "$file" ]] && mapfile -t words < "$file"
  _octo_words
}

# One more of a list with commas; what is typed of it stays.
_octo_list() {
  local before="\${current%"\${current##*,}"}"
  local current="\${current##*,}"
  _octo_words
  COMPREPLY=("\${COMPREPLY[@]/#/$before}")
}

# Bash replaces what follows the last colon alone.
_octo_colons() {
  local colons="\${current%"\${current##*:}"}"
  if [[ -n "$colons" && "$COMP_WORDBREAKS" == *:* ]]; then
    COMPREPLY=("\${COMPREPLY[@]#"$colons"}")
  fi
}

`;

/** A script that completes octo's words in bash. */
export function bashCompletion(): string {
  const firsts = [...new Set(commandNames.map((name) => name.split(" ")[0]))];
  const seconds = firsts.flatMap((first) => {
    const verbs = commandNames.filter((name) => name.startsWith(`${first} `));
    const words = verbs.map((name) => name.slice(`${first} `.length)).join(" ");
    return verbs.length === 0 ? [] : [`    ${first}) verbs="${words}" ;;`];
  });
  return `${functions}_octo() {
  local current before command verbs
  local -a words=()
  COMPREPLY=()
  # Bash splits words at colons, which are in names of models: they are put together again.
  local line="\${COMP_LINE:0:COMP_POINT}"
  local -a typed=()
  read -r -a typed <<< "$line"
  [[ "$line" == *" " ]] && typed+=("")
  local last=$(( \${#typed[@]} - 1 ))
  current="\${typed[last]}"
  before="\${typed[last - 1]}"
  command="\${typed[1]}"
  if (( last == 1 )); then
    words=(${firsts.join(" ")} help --help --version)
    _octo_words
    return
  fi
  if [[ "$command" == help ]]; then
    (( last == 2 )) && words=(${firsts.join(" ")}) && _octo_words
    return
  fi
  verbs=""
  case "$command" in
${seconds.join("\n")}
  esac
  if [[ -n "$verbs" ]]; then
    if (( last == 2 )); then
      read -r -a words <<< "$verbs"
      _octo_words
      return
    fi
    command="$command \${typed[2]}"
  fi
  case "$command $before" in
${valueCases().join("\n")}
  esac
  if [[ "$current" == -* ]]; then
    case "$command" in
${optionCases().join("\n")}
    esac
    _octo_words
  else
    case "$command" in
${argumentCases().join("\n")}
    esac
  fi
  _octo_colons
}

complete -F _octo octo
`;
}

/** What follows an option that takes a value. */
function valueCases(): string[] {
  return commandNames.flatMap((name) =>
    Object.entries(optionsOf(formOf(name))).flatMap(([option, { shape, words }]) =>
      shape === null
        ? []
        : [`    "${name} --${option}") ${offerFor(shape, words)}; _octo_colons; return ;;`],
    ),
  );
}

function optionCases(): string[] {
  return commandNames.map((name) => {
    const options = Object.keys(optionsOf(formOf(name))).map((option) => `--${option}`);
    return `      "${name}") words=(${options.join(" ")}) ;;`;
  });
}

function argumentCases(): string[] {
  return commandNames.flatMap((name) => {
    const { words } = formOf(name);
    return words === undefined ? [] : [`      "${name}") ${offer(words)} ;;`];
  });
}

function offerFor(shape: string, words: Words | undefined): string {
  const isList = shape === "LIST" && words !== undefined && typeof words !== "string";
  return isList ? `words=(${words.join(" ")}); _octo_list` : offer(words);
}

function offer(words: Words | undefined): string {
  if (words === undefined) return ":";
  if (words === "models") return "_octo_models";
  // Names of files may hold spaces: one a line.
  if (words === "files") return 'mapfile -t COMPREPLY < <(compgen -f -- "$current")';
  return `words=(${words.join(" ")}); _octo_words`;
}
