import { strategies } from "../../shared/openai/strategies.ts";
import { regions } from "../../shared/regions.ts";
import { listingSorts } from "../commands/sort-listings.ts";
import type { CommandForm, OptionForm } from "./form.ts";

/** Commands that ask the network, or about it. */

const asking = {
  model: { shape: "NAME", help: "the first that chats, unless given", words: "models" },
  system: { shape: "TEXT", help: "what the model is told before everything else" },
  "max-tokens": { shape: "N", help: "the most tokens of an answer" },
  temperature: { shape: "T", help: "0 for always the same, up to 2" },
  strategy: { shape: "NAME", help: "how a worker is chosen", words: strategies },
  usage: { shape: null, help: "tokens, time and cost of the answer, on standard error" },
} as const satisfies Record<string, OptionForm>;

export const networkForms = {
  models: {
    args: [],
    options: {},
    asksEdge: true,
    summary: "what can be asked for now",
    text: "Prices are the lowest, in credits for a million tokens.",
    examples: ["octo models", "octo models --json"],
  },
  listings: {
    args: [],
    options: {
      model: { shape: "NAME", help: "of this model", words: "models" },
      region: { shape: "REGION", help: "of workers there", words: regions },
      sort: {
        shape: "BY",
        help: `${listingSorts.join(", ")}; price unless given`,
        words: listingSorts,
      },
      all: { shape: null, help: "those that are offline too" },
      limit: { shape: "N", help: "at most so many; 50 unless given" },
    },
    asksEdge: true,
    summary: "what workers offer, and for how much",
    text: "Prices are in credits for a million tokens, of the prompt and of the answer.",
    examples: [
      "octo listings",
      "octo listings --model octo-tiny --sort speed",
      "octo listings --all --json",
    ],
  },
  tasks: {
    args: [],
    options: {
      limit: { shape: "N", help: "at most so many; 20 unless given" },
      account: { shape: "ID", help: "operators: of this account" },
    },
    asksEdge: true,
    summary: "what you asked for last, and what it cost",
    text: "Tasks that have ended, the newest first. Prompts and answers are kept by nobody.",
    examples: ["octo tasks", "octo tasks --limit 200 --json"],
  },
  task: {
    args: ["ID"],
    options: { account: { shape: "ID", help: "operators: of this account" } },
    asksEdge: true,
    summary: "everything about one task: attempts, why this worker, receipts",
    text: "Receipts are signed by the worker and the edge; --json has them whole.",
    examples: ["octo task tsk_…", "octo task tsk_… --json"],
  },
  ask: {
    args: ["[QUESTION…]"],
    options: {
      ...asking,
      resume: {
        shape: null,
        help: "the answer is made to the end even while the connection is lost",
      },
    },
    asksEdge: true,
    summary: "ask one question; the answer streams to standard output",
    text:
      "Without a question, or where a word of it is -, the question is standard input. A lost\n" +
      "connection is taken up again where it broke; where it cannot be, the exit code is 1.\n" +
      "Ctrl-C stops the answer, and what was delivered is paid for; with --resume it is made,\n" +
      "and paid for, all the same.",
    examples: [
      'octo ask "What is this?"',
      "git diff | octo ask Review this: - --model octo-tiny",
      "octo ask --usage --max-tokens 100 < question.txt",
    ],
  },
  chat: {
    args: ["[MODEL]"],
    words: "models",
    options: asking,
    asksEdge: true,
    summary: "talk with a model",
    text:
      "Answers stream as they are made, and the model sees what was said before. Ctrl-C stops\n" +
      "an answer; Ctrl-C twice or Ctrl-D leaves. In the chat: /help, /model NAME, /clear,\n" +
      "/save FILE, /exit. Lines are kept in ~/.local/state/octo/history, but those that begin\n" +
      "with a space. What a pipe sends is answered line by line.",
    examples: ["octo chat", "octo chat octo-tiny --system 'You are a fox.'"],
  },
  "top-up": {
    args: ["CREDITS"],
    options: {
      account: { shape: "ID", help: "whose account" },
      reason: { shape: "TEXT", help: "why, for the books" },
      "idempotency-key": { shape: "TEXT", help: "sent twice, it is given once" },
    },
    asksEdge: true,
    summary: "operators: give an account credit",
    text:
      "An amount of credits with at most six decimals. Where the connection breaks, the same\n" +
      "command with the --idempotency-key that was shown gives nothing twice. What one operator\n" +
      "gives alone in a day is limited; more takes two.",
    examples: [
      "octo top-up 5 --account acct_…",
      "octo top-up 0.25 --account acct_… --reason welcome",
    ],
  },
  audit: {
    args: [],
    options: {
      accounts: { shape: null, help: "ask every account too where its journal ends" },
      "overdraft-max": { shape: "CREDITS", help: "what an account may owe; 100 unless given" },
    },
    asksEdge: true,
    summary: "operators: recompute the whole ledger from its transfers",
    text:
      "Reads every transfer, follows each account's chain of hashes, adds every balance up\n" +
      "anew, and says OK or names the first difference; the exit code is then 1. All of it is\n" +
      "of one moment, while the network goes on. A journal that was cut at its end adds up, so\n" +
      "with --accounts each account is asked too how its journal ends: two requests for each.",
    examples: ["octo audit", "octo audit --accounts --json"],
  },
  restore: {
    args: ["ID"],
    options: {
      yes: { shape: "DIFFERENCE", help: "the id of the difference that was shown: do it" },
      reason: { shape: "TEXT", help: "with --yes: why, for the books" },
    },
    asksEdge: true,
    summary: "operators: let an account take over what the ledger has of it",
    text:
      "For an account whose storage was lost or put back, which octo audit --accounts names.\n" +
      "Shows what it has beside what it has by the ledger, and changes nothing; with the id of\n" +
      "what was shown as --yes it takes that over. The exit code is 1 while the two differ.",
    examples: [
      "octo restore acct_…",
      "octo restore acct_… --yes 4f…9c --reason 'its storage was lost'",
    ],
  },
  completion: {
    args: ["SHELL"],
    words: ["bash", "zsh", "fish"],
    options: {},
    asksEdge: false,
    summary: "a script that completes this command's words in your shell",
    text: "Models are those that octo models showed last.",
    examples: [
      "octo completion bash > ~/.local/share/bash-completion/completions/octo",
      'octo completion zsh > "${fpath[1]}/_octo"',
      "octo completion fish > ~/.config/fish/completions/octo.fish",
    ],
  },
} as const satisfies Record<string, CommandForm>;
