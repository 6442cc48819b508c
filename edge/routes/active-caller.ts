import type { Context as HonoContext } from "hono";
import { type AppEnv, callerOf } from "../app-env.ts";
import { renewedCaller, wrongKey } from "../authenticate.ts";
import type { Caller, Context } from "../context.ts";
import { accountObject } from "../objects.ts";
import { countCall } from "../rates/count-calls.ts";

/**
 * The account of the operator key in the environment; it has no Account object and cannot be
 * revoked but by deploying.
 */
export const systemAccountId = "system";

/** The caller of a request that runs nothing, who may call only so often. */
export async function countedCaller(c: HonoContext<AppEnv>): Promise<Caller> {
  const caller = await callerOf(c);
  await countCall(c.get("ctx"), caller);
  return stillActive(c.get("ctx"), caller);
}

/**
 * The caller of a request that holds no credit. What an isolate remembers of a key may be a minute
 * old, so its Account is asked whether it was revoked or changed since; inference asks the same
 * with its hold or lease.
 */
export async function activeCaller(c: HonoContext<AppEnv>): Promise<Caller> {
  return stillActive(c.get("ctx"), await callerOf(c));
}

async function stillActive(ctx: Context, known: Caller): Promise<Caller> {
  let caller = known;
  for (;;) {
    const { accountId, keyId } = caller;
    if (accountId === systemAccountId || keyId === null) return caller;
    const account = accountObject(ctx.env, accountId);
    const answer = await account.useKey(keyId, caller.key?.changes ?? 0);
    if (answer.kind === "current") return caller;
    if (answer.kind === "ended") throw wrongKey();
    // Once for each change that happens meanwhile.
    caller = await renewedCaller(ctx, keyId, answer.changes);
  }
}
