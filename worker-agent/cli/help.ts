import { version } from "../version.ts";
import type { CommandName } from "./parse-command-line.ts";
import { settingsOf } from "./parse-command-line.ts";
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
    text: "Reads what a running worker last wrote. The exit code is 1 where none runs.",
    examples: ["octo-worker status", "octo-worker status --json"],
  },
  doctor: {
    summary: "look for what could keep this machine from serving",
    text:
      "Checks this machine, the settings, the models and the way to the edge, and says how to\n" +
      "mend what is wrong. The exit code is 1 where something is.",
    examples: ["octo-worker doctor", "octo-worker doctor --edge https://edge.example --json"],
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
  return [
    `Usage: octo-worker ${command} [flags]`,
    "",
    text,
    "",
    "Flags, and the variables that say the same:",
    ...settingsOf(command).map(flagLine),
    `  ${"--help".padEnd(26)}this text`,
    "",
    "A flag wins over its variable, and that over config.json in the state folder.",
    "",
    "Examples:",
    ...examples.map((example) => `  ${example}`),
  ].join("\n");
}

function flagLine(name: ReturnType<typeof settingsOf>[number]): string {
  const { flag, shape, env, fallback, help } = settings[name];
  const form = shape === null ? `--${flag}` : `--${flag} ${shape}`;
  const preset = fallback === "" || fallback === "false" ? "" : `, ${fallback} unless given`;
  return `  ${form.padEnd(26)}${help}\n  ${"".padEnd(26)}(${env}${preset})`;
}
