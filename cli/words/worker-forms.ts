import type { CommandForm, OptionForm } from "./form.ts";

/** Commands about the workers that earn for an account. */

const ofAccount: OptionForm = { shape: "ID", help: "operators: of this account" };

export const workerForms = {
  "workers list": {
    args: [],
    options: {
      account: ofAccount,
      limit: { shape: "N", help: "at most so many; 100 unless given" },
    },
    standsAlone: true,
    asksEdge: true,
    summary: "the workers that may earn for your account",
    text:
      "Those that you have taken on, the newest first, and what is known of them. A worker that\n" +
      "earns for an account of its own is on nobody's list.",
    examples: ["octo workers", "octo workers list --json"],
  },
  "workers add": {
    args: ["ID"],
    options: {
      name: { shape: "TEXT", help: "what you call it" },
      account: ofAccount,
    },
    asksEdge: true,
    summary: "take a worker on, so that it may earn for your account",
    text:
      "ID is the worker's public key, which octo-worker init, start and doctor show. A worker\n" +
      "that is trying already is let in within minutes. It is then one of your own: it answers\n" +
      "you for free, and is shown the prompts that you keep on your own workers, so add what is\n" +
      "yours. Once more with another --name it has that. An ID that begins with a hyphen comes\n" +
      "behind --.",
    examples: [
      "octo workers add 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo --name desk",
      "octo workers add -- -_qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    ],
  },
  "workers remove": {
    args: ["ID"],
    options: { account: ofAccount },
    asksEdge: true,
    summary: "let a worker go: it earns for your account no more",
    text:
      "Once this returns its connection is ended, and it is not let in again; an answer that it\n" +
      "was making goes on at another worker where that can be. What it has earned stays yours.",
    examples: ["octo workers remove 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"],
  },
} as const satisfies Record<string, CommandForm>;
