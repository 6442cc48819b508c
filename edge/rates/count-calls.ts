import { OctoError } from "../../shared/errors.ts";
import { describeError } from "../../shared/log.ts";
import type { Caller, Context } from "../context.ts";
import { edgeLog } from "../log.ts";
import { networkOf } from "../network-of.ts";
import { ratePeriodS } from "./per-minute.ts";

/*
 * How often may be asked for what no Account limits. Inference is not counted: its limits are its
 * Account's, and it waits for nothing here.
 * R1. Whoever is known is counted by whom they act for: a key by its account, so that more keys are
 *     no more calls; a person and an operator by themselves, so that a program of an account that
 *     went wrong does not lock out who would end it.
 * R2. Whoever is not known is counted by address, and only what came to nothing or needs no key: a
 *     good key is never refused for what others do behind its address.
 * R3. An address that has used up its tries with ids of keys that nobody has is refused for some
 *     seconds before the registry is asked for more of them.
 * R4. A counter that fails lets everybody through, and the log knows: nobody is locked out by it.
 */

/** Addresses that an isolate remembers: the oldest are forgotten, and may try again. */
const addressesMax = 10_000;
/** For as long as this an address is refused without a look: a few tries more are cheap. */
const refusedMs = 10_000;

/** Until when the registry is not asked for ids by an address (R3). */
const refusedUntilMs = new Map<string, number>();

/** Counts a call of somebody who is known; throws where they have called too often (R1). */
export async function countCall(ctx: Context, caller: Caller): Promise<void> {
  const { rates } = ctx.config;
  if (rates === null) return;
  const { accountId, keyId, personId, permissions } = caller;
  const isOperator = permissions.has("network:operate");
  const byKey = isOperator ? `key:${keyId}` : `account:${accountId}`;
  const name = personId === null ? byKey : `person:${personId}`;
  if (await isWithin(isOperator ? rates.operator : rates.caller, name)) return;
  throw tooMany("Too many calls in a minute");
}

/**
 * Counts something that came to nothing, or that nobody needs to be known for; throws where its
 * address has tried too often (R2), and remembers that where it was an id that nobody has (R3).
 */
export async function countTry(ctx: Context, isUnknownId = false): Promise<void> {
  const { config, address, startedMs } = ctx;
  // Without a platform in front that tells addresses all are on the operator's own machine.
  if (config.rates === null || address === null) return;
  const network = networkOf(address);
  if (await isWithin(config.rates.address, network)) return;
  if (isUnknownId) refuseFor(network, startedMs + refusedMs);
  throw tooManyTries();
}

/** What `read` gives; where it refuses what was sent, that was a try (R2). */
export async function unlessRefused<T>(ctx: Context, read: () => T): Promise<T> {
  try {
    return read();
  } catch (error) {
    if (error instanceof OctoError) await countTry(ctx);
    throw error;
  }
}

/** Throws where this address is not to cost the registry another question now (R3). */
export function assertMayAskForIds({ address, startedMs }: Context): void {
  if (address === null || refusedUntilMs.size === 0) return;
  if ((refusedUntilMs.get(networkOf(address)) ?? 0) > startedMs) throw tooManyTries();
}

function refuseFor(network: string, untilMs: number): void {
  // Deleted first, so that the map's order is that of their last use.
  refusedUntilMs.delete(network);
  refusedUntilMs.set(network, untilMs);
  const [oldest] = refusedUntilMs.keys();
  if (refusedUntilMs.size > addressesMax && oldest !== undefined) refusedUntilMs.delete(oldest);
}

async function isWithin(counter: RateLimit, key: string): Promise<boolean> {
  try {
    return (await counter.limit({ key })).success;
  } catch (error) {
    edgeLog("warn", "a call was not counted", { error: describeError(error) });
    return true;
  }
}

function tooManyTries(): OctoError {
  return tooMany("Too many requests without a good key from this address");
}

/** The counters tell no time: a minute later there is room in any case. */
function tooMany(what: string): OctoError {
  const message = `${what}: wait up to ${ratePeriodS} s`;
  return new OctoError("rate_limit_exceeded", message, { retryAfterS: ratePeriodS });
}
