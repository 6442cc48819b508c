import { accountRoutes } from "./accounts.ts";
import { attestationRoutes } from "./attestations.ts";
import { creditRoutes } from "./credits.ts";
import { dryRouteRoutes } from "./dry-route.ts";
import { gatewayKeyRoutes } from "./gateway-keys.ts";
import { gatewayTeamRoutes } from "./gateway-teams.ts";
import { hubRoutes } from "./hubs.ts";
import { invitationRoutes } from "./invitations.ts";
import { keyRoutes } from "./keys.ts";
import { ledgerRoutes } from "./ledger.ts";
import { listingRoutes } from "./listings.ts";
import { memberRoutes } from "./members.ts";
import { ownAccountRoutes } from "./own-account.ts";
import { personRoutes } from "./people.ts";
import { projectRoutes } from "./projects.ts";
import type { Route } from "./route.ts";
import { spendRoutes } from "./spend.ts";
import { signInRoutes } from "./sign-in.ts";
import { taskRoutes } from "./tasks.ts";
import { teamRoutes } from "./teams.ts";
import { workerRegistryRoutes } from "./workers.ts";

/** Everything under `/api/v1`, and what the gateway specification has elsewhere. */
export const apiRoutes: readonly Route[] = [
  ...signInRoutes,
  ...personRoutes,
  ...ownAccountRoutes,
  ...memberRoutes,
  ...invitationRoutes,
  ...teamRoutes,
  ...projectRoutes,
  ...attestationRoutes,
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
