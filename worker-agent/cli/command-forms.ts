import type { SettingName } from "./settings.ts";
import { settingNames } from "./settings.ts";

/** A flag that only one command has: nothing a file or a variable would say. */
export interface OwnFlag {
  /** What a value looks like in `--help`; null for a switch that takes none. */
  readonly shape: string | null;
  readonly help: string;
}

/** What may follow a command's name. */
export interface CommandForm {
  /** Its verbs, each with the arguments it takes: `NAME` must be there, `[NAME]` may be. */
  readonly verbs: Readonly<Record<string, readonly string[]>>;
  readonly settings: readonly SettingName[];
  readonly flags: Readonly<Record<string, OwnFlag>>;
}

/** A command that takes flags and nothing else. */
function plain(settings: readonly SettingName[] = settingNames): CommandForm {
  return { verbs: {}, settings, flags: {} };
}

const commandForms = {
  init: plain(),
  start: plain(),
  status: {
    ...plain(["stateDir", "json"]),
    flags: {
      once: { shape: null, help: "one picture, where a terminal would be kept up to date" },
    },
  },
  pause: {
    ...plain(["stateDir", "json"]),
    flags: { for: { shape: "TIME", help: "30m, 2h, 1h30m or 1d; without it until resume" } },
  },
  resume: plain(["stateDir", "json"]),
  stop: {
    ...plain(["stateDir", "json"]),
    flags: { now: { shape: null, help: "at once: answers under way break, others continue them" } },
  },
  doctor: plain(),
  bench: plain(),
  models: {
    verbs: {
      add: ["SOURCE"],
      list: [],
      remove: ["NAME"],
      verify: ["[NAME]"],
      sign: ["FILE"],
    },
    settings: ["slots", "context", "gpu", "memory", "stateDir", "json"],
    flags: {
      as: { shape: "NAME", help: "the name to keep or sign the model under" },
      manifest: { shape: "FILE|URL", help: "add: the signed manifest the model must agree with" },
      license: { shape: "LICENSE", help: "sign: what it may be used under, say Apache-2.0" },
      release: { shape: "X.Y.Z", help: "sign: the model's version, 1.0.0 unless given" },
      key: { shape: "FILE", help: "sign: another Ed25519 key (PEM) than this worker's" },
    },
  },
  service: {
    verbs: { install: [], uninstall: [], status: [], show: [] },
    settings: settingNames,
    flags: {},
  },
} as const satisfies Record<string, CommandForm>;

export type CommandName = keyof typeof commandForms;

/** The names of all commands, in the order `--help` shows them. */
export const commandNames = Object.keys(commandForms).filter((name): name is CommandName =>
  Object.hasOwn(commandForms, name),
);

/** What may follow `command`, with its own names forgotten. */
export function formOf(command: CommandName): CommandForm {
  return commandForms[command];
}

/** A command's verbs with their arguments, as `--help` and errors show them. */
export function verbsInWords(command: CommandName): string[] {
  return Object.entries(formOf(command).verbs).map(([verb, args]) => [verb, ...args].join(" "));
}
