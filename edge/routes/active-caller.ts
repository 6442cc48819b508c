import type { Context as HonoContext } from "hono";
import { type AppEnv, callerOf } from "../app-env.ts";
import { wrongKey } from "../authenticate.ts";
import type { Caller } from "../context.ts";
import { accountObject } from "../objects.ts";

/**
 * The account of the operator key in the environment; it has no Account object and cannot be
 * revoked but by deploying.
 */
export const systemAccountId = "system";

/**
 * The caller of a request that holds no credit. What an isolate remembers of a key may be a minute
 * old, so its Account is asked whether it was revoked since; inference asks the same with its hold
 * or lease.
 */
export async function activeCaller(c: HonoContext<AppEnv>): Promise<Caller> {
  const caller = await callerOf(c);
  if (caller.accountId === systemAccountId || caller.keyId === null) return caller;
  const account = accountObject(c.get("ctx").env, caller.accountId);
  if (!(await account.isKeyActive(caller.keyId))) throw wrongKey();
  return caller;
}
