/** What completion can know of a word without asking anybody. */
export type Words = "models" | "files" | readonly string[];

/** An option of a command. */
export interface OptionForm {
  /** What a value looks like in `--help`; null for a switch that takes none. */
  readonly shape: string | null;
  readonly help: string;
  readonly words?: Words;
  readonly short?: string;
}

/** What may follow a command's name, and what it says of itself. */
export interface CommandForm {
  /** `NAME` must be there, `[NAME]` may be, and `[NAME…]` as often as one likes. */
  readonly args: readonly string[];
  /** What completion offers for the arguments. */
  readonly words?: Words;
  readonly options: Readonly<Record<string, OptionForm>>;
  /** The first word of its name alone means this command. */
  readonly standsAlone?: true;
  /** Asks the edge, and so takes the options that say which and as whom. */
  readonly asksEdge: boolean;
  readonly summary: string;
  readonly text: string;
  readonly examples: readonly string[];
}

/** The options of every command that asks an edge. */
export const edgeOptions = {
  url: { shape: "URL", help: "the edge (OCTO_URL)" },
  key: { shape: "KEY", help: "an API key (OCTO_API_KEY, which other users cannot see)" },
  dev: { shape: null, help: "the network that npm start runs in this repository" },
  insecure: { shape: null, help: "take an http URL of another machine: keys cross the net openly" },
} as const satisfies Record<string, OptionForm>;

/** The options of every command. */
export const commonOptions = {
  json: { shape: null, help: "one JSON value for programs" },
  help: { shape: null, short: "h", help: "this text" },
} as const satisfies Record<string, OptionForm>;

/** All options of a command, its own first. */
export function optionsOf(form: CommandForm): Readonly<Record<string, OptionForm>> {
  return { ...form.options, ...(form.asksEdge ? edgeOptions : {}), ...commonOptions };
}
