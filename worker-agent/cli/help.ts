import { version } from "../version.ts";
import type { CommandName } from "./command-forms.ts";
import { formOf, verbsInWords } from "./command-forms.ts";
import type { SettingName } from "./settings.ts";
import { settings } from "./settings.ts";

interface CommandHelp {
  readonly summary: string;
  readonly text: string;
  readonly examples: readonly string[];
}

const helpByCommand: Record<CommandName, CommandHelp> = {
  init: {
    summary: "make this machine's identity and write its settings down",
    text:
      "Makes a private key that only you can read and a config.json beside it. The key is the\n" +
      "worker: whoever loses it loses the worker's reputation. An existing one is never replaced.",
    examples: [
      "octo-worker init --edge https://edge.example --account acct_…",
      "octo-worker init --edge https://edge.example --model ./llama.gguf --as llama --slots 8",
    ],
  },
  start: {
    summary: "serve models until stopped (what happens without a command)",
    text:
      "Loads the models, dials out to the edge and serves. Ctrl-C once lets running answers\n" +
      "end, twice leaves at once. No port is opened: it works behind any router.",
    examples: [
      "octo-worker start --edge https://edge.example",
      "octo-worker start --model hf:Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf --as qwen3-0.6b",
      "octo-worker start --price-input 0.05 --price-output 0.15 --json",
    ],
  },
  status: {
    summary: "what the worker that runs on this machine is doing",
    text:
      "On a terminal it is kept up to date until Ctrl-C: models, slots, tokens a second, tasks,\n" +
      "today's earnings, and why no work comes. The exit code is 1 where no worker runs.",
    examples: ["octo-worker status", "octo-worker status --once", "octo-worker status --json"],
  },
  pause: {
    summary: "take no more tasks, for a while or until resume",
    text:
      "The worker that runs from the state folder ends the answers it is giving, gives its\n" +
      "memory back and stays connected. A pause outlives a restart, and holds for a worker\n" +
      "that starts later. It needs no network.",
    examples: [
      "octo-worker pause",
      "octo-worker pause --for 2h",
      "octo-worker pause --for 1d --json",
    ],
  },
  resume: {
    summary: "end a pause",
    text: "The models are offered again within a second or two.",
    examples: ["octo-worker resume"],
  },
  stop: {
    summary: "stop the worker that runs on this machine, once its answers have ended",
    text:
      "Waits until it has gone: at the latest after the --drain it was started with. It is the\n" +
      "way to update: octo-worker stop, npm install -g octo-worker@latest, octo-worker start.\n" +
      "It never updates itself, and never asks whether there is something new.",
    examples: ["octo-worker stop", "octo-worker stop --now"],
  },
  doctor: {
    summary: "look for what could keep this machine from serving",
    text:
      "Checks this machine, the settings, the models and the way to the edge, and says how to\n" +
      "mend what is wrong. The exit code is 1 where something is.",
    examples: ["octo-worker doctor", "octo-worker doctor --edge https://edge.example --json"],
  },
  bench: {
    summary: "measure how fast this machine runs its models",
    text:
      "Loads each model and measures it anew: the time to the first token, prompt and answer\n" +
      "speed, all answers together at 1, 2, 4 and more at once, and the longest prompt that\n" +
      "works. A start uses what was measured; --slots auto takes the best number of slots.\n" +
      "Nothing else should be busy meanwhile. It takes seconds, half a minute for a large model.",
    examples: [
      "octo-worker bench",
      "octo-worker bench --model ./llama.gguf --context 8192",
      "octo-worker bench --gpu none --threads 4 --json",
    ],
  },
  models: {
    summary: "fetch, list, check and sign the models kept on this machine",
    text:
      "add     fetches a model, checks it and keeps it under a name that --model then takes\n" +
      "list    what is kept, with digest, size, quantization and who signed it\n" +
      "remove  forgets a name, and deletes what no other name has\n" +
      "verify  reads all files again; the exit code is 1 where one is not what it was\n" +
      "sign    writes a manifest that says what a file is, signed with this worker's key",
    examples: [
      "octo-worker models add hf:Qwen/Qwen3-0.6B-GGUF:Q8_0 --as qwen3",
      "octo-worker models add ./llama.gguf --manifest llama.manifest.json",
      "octo-worker models sign ./llama.gguf --as llama --license Apache-2.0",
      "octo-worker models verify --json",
      "octo-worker start --model qwen3",
    ],
  },
  service: {
    summary: "start with this machine, as a service of systemd or launchd",
    text:
      "install    writes a service of this user, starts it, and again at every login;\n" +
      "           the flags given are the ones it starts with\n" +
      "uninstall  stops and removes it; identity, models and receipts stay\n" +
      "status     whether it runs, and where its log is; the exit code is 1 where it does not\n" +
      "show       prints what install would write, and changes nothing",
    examples: [
      "octo-worker service install --edge https://edge.example --model qwen3",
      "octo-worker service show",
      "octo-worker service uninstall",
    ],
  },
};

export function generalHelp(): string {
  const commands = Object.entries(helpByCommand).map(
    ([name, { summary }]) => `  ${name.padEnd(9)}${summary}`,
  );
  return [
    `octo-worker ${version}: share this machine with the CipherOcto network, and earn.`,
    "",
    "Usage: octo-worker [command] [flags]",
    "",
    ...commands,
    "",
    "Each command explains itself: octo-worker start --help.",
    "",
    "Examples:",
    "  npx octo-worker --edge https://edge.example",
    "  octo-worker doctor",
    "  octo-worker status --json",
  ].join("\n");
}

export function helpOf(command: CommandName): string {
  const { text, examples } = helpByCommand[command];
  const form = formOf(command);
  const verbs = verbsInWords(command);
  const usages = verbs.length === 0 ? [command] : verbs.map((verb) => `${command} ${verb}`);
  const own = Object.entries(form.flags).map(
    ([flag, { shape, help }]) => `  ${`--${flag} ${shape ?? ""}`.padEnd(26)}${help}`,
  );
  return [
    ...usages.map((usage, at) => `${at === 0 ? "Usage:" : "      "} octo-worker ${usage} [flags]`),
    "",
    text,
    "",
    ...(own.length === 0 ? [] : ["Flags:", ...own, ""]),
    "Flags, and the variables that say the same:",
    ...form.settings.map(flagLine),
    `  ${"--help".padEnd(26)}this text`,
    "",
    "A flag wins over its variable, and that over config.json in the state folder.",
    "",
    "Examples:",
    ...examples.map((example) => `  ${example}`),
  ].join("\n");
}

function flagLine(name: SettingName): string {
  const { flag, shape, env, fallback, help } = settings[name];
  const form = shape === null ? `--${flag}` : `--${flag} ${shape}`;
  const preset = fallback === "" || fallback === "false" ? "" : `, ${fallback} unless given`;
  return `  ${form.padEnd(26)}${help}\n  ${"".padEnd(26)}(${env}${preset})`;
}
