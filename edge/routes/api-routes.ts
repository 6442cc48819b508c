import { accountRoutes } from "./accounts.ts";
import { approvalRoutes } from "./approvals.ts";
import { attestationRoutes } from "./attestations.ts";
import { alertRoutes } from "./alerts.ts";
import { creditRoutes } from "./credits.ts";
import { depositRoutes } from "./deposits.ts";
import { dryRouteRoutes } from "./dry-route.ts";
import { gatewayKeyRoutes } from "./gateway-keys.ts";
import { gatewayTeamRoutes } from "./gateway-teams.ts";
import { hubRoutes } from "./hubs.ts";
import { invitationRoutes } from "./invitations.ts";
import { invoiceRoutes } from "./invoices.ts";
import { keyRoutes } from "./keys.ts";
import { ledgerExportRoutes } from "./ledger-export.ts";
import { ledgerRoutes } from "./ledger.ts";
import { listingRoutes } from "./listings.ts";
import { memberRoutes } from "./members.ts";
import { ownAccountRoutes } from "./own-account.ts";
import { personRoutes } from "./people.ts";
import { projectRoutes } from "./projects.ts";
import { providerStatementRoutes } from "./provider-statements.ts";
import { payoutRoutes } from "./payouts.ts";
import type { Route } from "./route.ts";
import { spendRoutes } from "./spend.ts";
import { tariffRoutes } from "./tariffs.ts";
import { signInRoutes } from "./sign-in.ts";
import { supplyRoutes } from "./supply.ts";
import { taskRoutes } from "./tasks.ts";
import { teamRoutes } from "./teams.ts";
import { transferRoutes } from "./transfers.ts";
import { usageRoutes } from "./usage.ts";
import { withdrawalRoutes } from "./withdrawals.ts";
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
  ...alertRoutes,
  ...taskRoutes,
  ...usageRoutes,
  ...invoiceRoutes,
  ...transferRoutes,
  ...supplyRoutes,
  ...providerStatementRoutes,
  ...dryRouteRoutes,
  ...listingRoutes,
  ...accountRoutes,
  ...creditRoutes,
  ...approvalRoutes,
  ...depositRoutes,
  ...withdrawalRoutes,
  ...payoutRoutes,
  ...keyRoutes,
  ...spendRoutes,
  ...gatewayKeyRoutes,
  ...gatewayTeamRoutes,
  ...workerRegistryRoutes,
  ...hubRoutes,
  ...ledgerRoutes,
  ...tariffRoutes,
  ...ledgerExportRoutes,
];
