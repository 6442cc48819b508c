import { accountRoutes } from "./accounts.ts";
import { alertRoutes } from "./alerts.ts";
import { creditRoutes } from "./credits.ts";
import { dryRouteRoutes } from "./dry-route.ts";
import { hubRoutes } from "./hubs.ts";
import { keyRoutes } from "./keys.ts";
import { ledgerRoutes } from "./ledger.ts";
import { listingRoutes } from "./listings.ts";
import { ownAccountRoutes } from "./own-account.ts";
import type { Route } from "./route.ts";
import { taskRoutes } from "./tasks.ts";
import { workerRegistryRoutes } from "./workers.ts";

/** Everything under `/api/v1`. */
export const apiRoutes: readonly Route[] = [
  ...ownAccountRoutes,
  ...alertRoutes,
  ...taskRoutes,
  ...dryRouteRoutes,
  ...listingRoutes,
  ...accountRoutes,
  ...creditRoutes,
  ...keyRoutes,
  ...workerRegistryRoutes,
  ...hubRoutes,
  ...ledgerRoutes,
];
