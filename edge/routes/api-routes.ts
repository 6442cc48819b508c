import { accountRoutes } from "./accounts.ts";
import { creditRoutes } from "./credits.ts";
import { dryRouteRoutes } from "./dry-route.ts";
import { gatewayKeyRoutes } from "./gateway-keys.ts";
import { gatewayTeamRoutes } from "./gateway-teams.ts";
import { hubRoutes } from "./hubs.ts";
import { keyRoutes } from "./keys.ts";
import { ledgerRoutes } from "./ledger.ts";
import { listingRoutes } from "./listings.ts";
import { ownAccountRoutes } from "./own-account.ts";
import type { Route } from "./route.ts";
import { spendRoutes } from "./spend.ts";
import { taskRoutes } from "./tasks.ts";
import { workerRegistryRoutes } from "./workers.ts";

/** Everything under `/api/v1`, and what the gateway specification has elsewhere. */
export const apiRoutes: readonly Route[] = [
  ...ownAccountRoutes,
  ...taskRoutes,
  ...dryRouteRoutes,
  ...listingRoutes,
  ...accountRoutes,
  ...creditRoutes,
  ...keyRoutes,
  ...spendRoutes,
  ...gatewayKeyRoutes,
  ...gatewayTeamRoutes,
  ...workerRegistryRoutes,
  ...hubRoutes,
  ...ledgerRoutes,
];
