import { app } from "./app.ts";
import type { Env } from "./env.ts";

export { Account } from "./billing/account.ts";
export { Directory } from "./directory/directory.ts";
export { Hub } from "./hub/hub.ts";

export default { fetch: app.fetch } satisfies ExportedHandler<Env>;
