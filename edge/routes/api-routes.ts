import { accountRoutes } from "./accounts.ts";
import { creditRoutes } from "./credits.ts";
import { keyRoutes } from "./keys.ts";
import type { Route } from "./route.ts";

/** Everything under `/api/v1`. */
export const apiRoutes: readonly Route[] = [...accountRoutes, ...creditRoutes, ...keyRoutes];
