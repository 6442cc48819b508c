import { accountRoutes } from "./people/accounts.ts";
import { accountWorkerRoutes } from "./network/account-workers.ts";
import { approvalRoutes } from "./money/approvals.ts";
import { attestationRoutes } from "./people/attestations.ts";
import { alertRoutes } from "./money/alerts.ts";
import { creditRoutes } from "./money/credits.ts";
import { depositRoutes } from "./money/deposits.ts";
import { dryRouteRoutes } from "./inference/dry-route.ts";
import { gatewayKeyRoutes } from "./keys/gateway-keys.ts";
import { gatewayTeamRoutes } from "./keys/gateway-teams.ts";
import { hubRoutes } from "./network/hubs.ts";
import { invitationRoutes } from "./people/invitations.ts";
import { invoiceRoutes } from "./money/invoices.ts";
import { keyRoutes } from "./keys/keys.ts";
import { ledgerExportRoutes } from "./money/ledger-export.ts";
import { ledgerRoutes } from "./money/ledger.ts";
import { listingRoutes } from "./network/listings.ts";
import { memberRoutes } from "./people/members.ts";
import { ownAccountRoutes } from "./people/own-account.ts";
import { personRoutes } from "./people/people.ts";
import { projectRoutes } from "./people/projects.ts";
import { providerStatementRoutes } from "./money/provider-statements.ts";
import { payoutRoutes } from "./money/payouts.ts";
import type { Route } from "./route.ts";
import { spendRoutes } from "./keys/spend.ts";
import { tariffRoutes } from "./money/tariffs.ts";
import { restoreRoutes } from "./money/restore-account.ts";
import { signInRoutes } from "./people/sign-in.ts";
import { supplyRoutes } from "./money/supply.ts";
import { taskRoutes } from "./inference/tasks.ts";
import { teamRoutes } from "./people/teams.ts";
import { transferRoutes } from "./money/transfers.ts";
import { usageRoutes } from "./money/usage.ts";
import { withdrawalRoutes } from "./money/withdrawals.ts";
import { workerRegistryRoutes } from "./network/workers.ts";

/** Everything under `/api/v1`, and what the gateway specification has elsewhere. */
export const apiRoutes: readonly Route[] = [
  ...signInRoutes,
  ...personRoutes,
  ...ownAccountRoutes,
  ...accountWorkerRoutes,
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
  ...restoreRoutes,
];
