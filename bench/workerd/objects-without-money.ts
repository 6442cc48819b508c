import type { Account } from "../../edge/billing/account.ts";
import { type Terms, TicketSeal } from "../../edge/billing/ticket.ts";
import { configOf, type Env } from "../../edge/env.ts";

/*
 * Stands for `edge/objects.ts` in a bundle whose money is off: the same hubs and directories, and
 * accounts that agree to everything at once, without a call or a row.
 */

export { directoryObject, hubObject } from "../../edge/objects.ts";

type UsedOnTheWay = Pick<Account, "useKey" | "keyChanges" | "lease" | "returnLeases">;

/** An account of an edge without money. */
export function accountObject(env: Env, _accountId: string) {
  const seal = new TicketSeal(configOf(env).ticketSecret);
  const free: UsedOnTheWay = {
    useKey: () => ({ kind: "current" }),
    keyChanges: () => 0,
    lease: () => null,
    returnLeases: () => {},
  };
  return {
    ...free,
    hold: async (terms: Terms) => ({ kind: "held", ticket: await seal.seal(terms) }) as const,
    close: async () => [],
    isOpen: () => true,
    open: async () => {},
    setKey: async () => {},
    mint: async () => ({ kind: "minted", summary: summaryOfNobody }) as const,
    summary: () => summaryOfNobody,
  };
}

const summaryOfNobody = {
  accountId: "",
  status: "active",
  balance: 0n,
  held: 0n,
  earned: 0n,
  concurrencyMax: 0,
  outboxEmpty: true,
} as const;
