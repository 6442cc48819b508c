import type { AccountSummary } from "./account-answers.ts";
import type { AccountState, HoldRequest } from "./account-state.ts";
import type { Terms } from "./ticket.ts";

/** What an Account tells of its state. */
export function summaryOf(state: AccountState, outboxEmpty: boolean): AccountSummary {
  const { accountId, status, balance, held, earned, concurrencyMax } = state;
  return { accountId, status, balance, held, earned, concurrencyMax, outboxEmpty };
}

/** What terms ask of an account's money. */
export function holdRequestOf({ task, key, limit, expires_ms: expiresMs }: Terms): HoldRequest {
  return { taskId: task, keyId: key, limit: BigInt(limit), expiresMs };
}
