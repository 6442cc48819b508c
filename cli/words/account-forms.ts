import { keyScopes } from "../../shared/permissions.ts";
import type { CommandForm, OptionForm } from "./form.ts";
import { usageGroups } from "./values.ts";

/** Commands about who one is, and what one has. */

const ofAccount: OptionForm = { shape: "ID", help: "operators: of this account" };

const keyOptions = {
  scopes: { shape: "LIST", help: `what it may do: ${keyScopes.join(",")}`, words: keyScopes },
  models: { shape: "LIST", help: "the only models it may ask for", words: "models" },
  expires: { shape: "TIME", help: "30d, 12h, or a date: 2027-01-31" },
  limits: {
    shape: "LIST",
    help: "rpm=60,tpm=100000,concurrency=4,max-tokens=1024,day=5,month=100,end=hard",
  },
  addresses: { shape: "LIST", help: "the only IP addresses it may be used from (CIDR)" },
  team: { shape: "ID", help: "the team it belongs to" },
  project: { shape: "ID", help: "the project it belongs to" },
  account: ofAccount,
} as const satisfies Record<string, OptionForm>;

export const accountForms = {
  login: {
    args: [],
    options: {
      wallet: { shape: "FILE", help: "sign in with the Ed25519 key in this file", words: "files" },
      new: { shape: null, help: "with --wallet: make the key file first" },
      account: { shape: "ID", help: "with --wallet: which of your accounts" },
    },
    asksEdge: true,
    summary: "remember an edge and a key, or sign in with a key pair",
    text:
      "Checks the key against the edge and stores both in ~/.config/octo/config.json, which\n" +
      "only you can read. The key is asked for without echo; --key - reads it from standard\n" +
      "input. With --wallet nothing secret is stored but a session that ends soon: the key pair\n" +
      "signs a challenge of the edge, now and whenever a session has ended.",
    examples: [
      "octo login --url https://edge.example",
      "octo login --url https://edge.example --key - < key.txt",
      "octo login --url https://edge.example --wallet ~/.octo-wallet.pem --new",
    ],
  },
  logout: {
    args: [],
    options: {},
    asksEdge: false,
    summary: "forget the edge and the key",
    text: "Deletes what login stored. The key itself goes on working: octo keys revoke ends it.",
    examples: ["octo logout"],
  },
  whoami: {
    args: [],
    options: {},
    asksEdge: true,
    summary: "which edge, which account, by which key",
    text: "Asks the edge, so it also tells whether the key works.",
    examples: ["octo whoami", "octo whoami --json"],
  },
  balance: {
    args: [],
    options: {},
    asksEdge: true,
    summary: "what your account has, holds and has earned",
    text: "Credits. What is held is for tasks that are running, and part of the balance.",
    examples: ["octo balance", "octo balance --json"],
  },
  usage: {
    args: [],
    options: {
      by: {
        shape: "LIST",
        help: `${usageGroups.join(", ")}, in any order; day unless given`,
        words: usageGroups,
      },
      from: { shape: "DATE", help: "the first day, in UTC: 2026-11-01" },
      to: { shape: "DATE", help: "the last day, in UTC" },
      csv: { shape: null, help: "comma-separated values, amounts in micros (RFC 4180)" },
      account: ofAccount,
    },
    asksEdge: true,
    summary: "what was used and what it cost, by key, model, day, team or project",
    text: "Sums over the tasks that have ended, as the ledger has them.",
    examples: [
      "octo usage",
      "octo usage --by key,model --from 2026-11-01 --to 2026-11-30",
      "octo usage --by day --csv > usage.csv",
    ],
  },
  "keys list": {
    args: [],
    options: {
      account: ofAccount,
      limit: { shape: "N", help: "at most so many; 100 unless given" },
    },
    asksEdge: true,
    summary: "the API keys of your account",
    text: "Without their secrets, which nobody has but you.",
    examples: ["octo keys list", "octo keys list --json"],
  },
  "keys create": {
    args: ["NAME"],
    options: keyOptions,
    asksEdge: true,
    summary: "make an API key",
    text:
      "Shows the key once: it is stored nowhere, so keep it. Budgets of --limits are credits\n" +
      "for a UTC day and month; --limits takes the JSON of the API too, with limits of single\n" +
      "models.",
    examples: [
      "octo keys create laptop",
      "octo keys create ci --scopes inference --models octo-tiny --expires 30d",
      "octo keys create intern --limits rpm=20,day=0.5,end=hard",
    ],
  },
  "keys revoke": {
    args: ["ID"],
    options: { account: ofAccount },
    asksEdge: true,
    summary: "end an API key",
    text: "Once this returns the key is refused everywhere. Running tasks end as usual.",
    examples: ["octo keys revoke 4fT9xQ2a"],
  },
  "keys rotate": {
    args: ["ID"],
    options: {
      grace: { shape: "TIME", help: "how long the old key works on: 1h, 7d, 0" },
      account: ofAccount,
    },
    asksEdge: true,
    summary: "replace an API key by a new one with the same rights",
    text: "Shows the new key once. The old one works on for a while, so that nothing breaks.",
    examples: ["octo keys rotate 4fT9xQ2a --grace 24h"],
  },
} as const satisfies Record<string, CommandForm>;
