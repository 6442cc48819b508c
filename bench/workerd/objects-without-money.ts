import type { Account } from "../../edge/billing/account.ts";
import type { AccountSummary } from "../../edge/billing/account-answers.ts";
import { TicketSeal } from "../../edge/billing/ticket.ts";
import { configOf, type Env } from "../../edge/env.ts";

/*
 * Stands for `edge/objects.ts` in a bundle whose money is off: the same hubs and directories, and
 * accounts that agree to everything at once, without a call or a row.
 */

export { directoryObject, hubObject } from "../../edge/objects.ts";

/** What a request meets on its way, and what it takes to make an account for it. */
interface FreeAccount {
  readonly useKey: Account["useKey"];
  readonly keyChanges: Account["keyChanges"];
  readonly lease: Account["lease"];
  readonly returnLeases: Account["returnLeases"];
  readonly hold: Account["hold"];
  readonly close: Account["close"];
  readonly isOpen: Account["isOpen"];
  readonly open: Account["open"];
  readonly setKey: Account["setKey"];
  readonly mint: Account["mint"];
  readonly summary: Account["summary"];
}

/** An account of an edge without money. */
export function accountObject(env: Env, _accountId: string): FreeAccount {
  const seal = new TicketSeal(configOf(env).ticketSecret);
  return {
    useKey: () => ({ kind: "current" }),
    keyChanges: () => 0,
    lease: () => null,
    returnLeases: () => {},
    hold: async (terms) => ({ kind: "held", ticket: await seal.seal(terms), rates: null }),
    close: async () => [],
    isOpen: () => true,
    open: async () => {},
    setKey: async () => {},
    mint: async () => ({ kind: "minted", summary: summaryOfNobody }),
    summary: () => summaryOfNobody,
  };
}

const summaryOfNobody: AccountSummary = {
  accountId: "",
  status: "active",
  limits: null,
  balance: 0n,
  available: 0n,
  held: 0n,
  earned: 0n,
  disputed: 0n,
  pending: 0n,
  buckets: [],
  journal: { seq: 0, hash: "" },
  concurrencyMax: 0,
  outboxEmpty: true,
  owed: [],
};
