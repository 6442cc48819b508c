import { app } from "./app.ts";
import type { Env } from "./env.ts";
import { runScheduled } from "./scheduled.ts";

export { Account } from "./billing/account.ts";
export { Directory } from "./directory/directory.ts";
export { Hub } from "./hub/hub.ts";

export default {
  fetch: app.fetch,
  scheduled: (_event, env) => runScheduled(env),
} satisfies ExportedHandler<Env>;
