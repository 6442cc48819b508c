import type { Context as HonoContext } from "hono";
import { authenticate } from "./authenticate.ts";
import type { Caller, Context } from "./context.ts";
import type { Env } from "./env.ts";

/** What hono's handlers share: the platform's bindings and this request's context. */
export interface AppEnv {
  Bindings: Env;
  Variables: { ctx: Context };
}

/** The authenticated caller of a request. */
export function callerOf(c: HonoContext<AppEnv>): Promise<Caller> {
  return authenticate(c.get("ctx"), c.req.header("authorization") ?? null);
}
