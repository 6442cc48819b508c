import { newId } from "../../shared/ids.ts";
import { describeError } from "../../shared/log.ts";
import type { TokenCounts } from "../../shared/money.ts";
import type { Context } from "../context.ts";
import type { Config } from "../env.ts";
import { edgeLog } from "../log.ts";
import { accountObject } from "../objects.ts";
import type { Refused } from "./account-state.ts";
import {
  createLeaseBook,
  endTask,
  giveUp,
  keepReports,
  spend,
  takeGrant,
  takeReports,
} from "./leases/lease-book.ts";
import { type LeaseAsk, type LeaseGrant, leaseMs } from "./leases/lease-terms.ts";
import type { RateLimits } from "./limits/rate-limits.ts";
import { type Terms, TicketSeal } from "./ticket.ts";

/** Credit for one task, or why there is none. */
export type SetAside =
  | {
      readonly kind: "held";
      readonly terms: Terms;
      readonly ticket: string;
      /** What is left of limits a minute; null where there are none. */
      readonly rates: RateLimits | null;
      /** The task runs no more, as far as its consumer can see. */
      readonly ended: () => void;
    }
  | Refused
  /** The caller's key has other settings by now. */
  | { readonly kind: "changed"; readonly changes: number };

/** A task that wants credit. */
export interface Wanting {
  readonly terms: Terms;
  /** The most tokens that it can use. */
  readonly tokensMax: TokenCounts;
  /** Other names of its model. */
  readonly alsoNamed: readonly string[];
  /** Whether this isolate will hear of its end. */
  readonly isLeasable: boolean;
  /** How many changes of its key are known here. */
  readonly keyChanges: number;
}

const book = createLeaseBook();
const sealByConfig = new WeakMap<Config, TicketSeal>();

/**
 * Sets aside the most that a task can cost: from this isolate's lease of the key's credit where
 * there is room in one, which takes no call, or else with the Account. A task that outlives its
 * consumer's connection is not leasable: this isolate would not hear of its end. A key that has
 * limits is given no lease.
 */
export async function setAside(ctx: Context, wanting: Wanting): Promise<SetAside> {
  const { terms, keyChanges } = wanting;
  if (!wanting.isLeasable) return holdOne(ctx, wanting);
  const { account, key: keyId } = terms;
  const request = { keyId, limit: BigInt(terms.limit), newLeaseId: () => newId("lea") };
  const { leaseId, ask } = spend(book, request, Date.now());
  const ended = () => endTask(book, keyId, leaseId);
  if (ask !== null) ctx.waitUntil(renew(ctx, account, { ask, keyChanges }));
  if (leaseId !== null) {
    const leased = { ...terms, lease: leaseId };
    const ticket = await sealOf(ctx.config).seal(leased);
    return { kind: "held", terms: leased, ticket, rates: null, ended };
  }
  let isHeld = false;
  try {
    const held = await holdOne(ctx, wanting);
    if (held.kind !== "held") return held;
    isHeld = true;
    return { ...held, ended };
  } finally {
    if (!isHeld) ended();
  }
}

/** With the Account, which knows itself when the task is over. */
async function holdOne(ctx: Context, { terms, ...ask }: Wanting): Promise<SetAside> {
  const { tokensMax, alsoNamed, keyChanges } = ask;
  const account = accountObject(ctx.env, terms.account);
  const held = await account.hold(terms, { tokensMax, alsoNamed, keyChanges });
  if (held.kind !== "held") return held;
  const { ticket, rates } = held;
  return { kind: "held", terms, ticket, rates, ended: () => {} };
}

/**
 * Asks for a lease, and tells the account of those before it; then of this one, once its time is
 * over and nobody has. Nobody waits for it.
 */
async function renew(
  ctx: Context,
  accountId: string,
  { ask, keyChanges }: { readonly ask: LeaseAsk; readonly keyChanges: number },
): Promise<void> {
  const askedMs = Date.now();
  let grant: LeaseGrant | null = null;
  try {
    grant = await accountObject(ctx.env, accountId).lease(ask, keyChanges);
    takeGrant(book, ask, grant, { askedMs, nowMs: Date.now() });
  } catch (error) {
    edgeLog("warn", "no answer to an ask for a lease", { error: describeError(error) });
    giveUp(book, ask);
  }
  const isTold = await report(ctx, accountId, ask.keyId);
  if (grant === null && isTold) return;
  await new Promise((resolve) => setTimeout(resolve, leaseMs));
  await report(ctx, accountId, ask.keyId);
}

/** Tells the account of leases that are over; false where it could not be told. */
async function report(ctx: Context, accountId: string, keyId: string): Promise<boolean> {
  const reports = takeReports(book, keyId, Date.now());
  if (reports.length === 0) return true;
  try {
    await accountObject(ctx.env, accountId).returnLeases(reports);
    return true;
  } catch (error) {
    edgeLog("warn", "leases not returned", { error: describeError(error) });
    keepReports(book, keyId, reports);
    return false;
  }
}

function sealOf(config: Config): TicketSeal {
  const known = sealByConfig.get(config);
  if (known !== undefined) return known;
  const seal = new TicketSeal(config.ticketSecret);
  sealByConfig.set(config, seal);
  return seal;
}
