import type { AccountSummary } from "./account-answers.ts";
import type { AccountState } from "./account-state.ts";
import { limitsOf } from "./limit-chain.ts";

/** What an account tells of itself. */
export function accountSummary(state: AccountState, outboxEmpty: boolean): AccountSummary {
  const { accountId, status, balance, held, earned, concurrencyMax } = state;
  const limits = limitsOf(state.limits, "account", accountId);
  return { accountId, status, balance, held, earned, concurrencyMax, limits, outboxEmpty };
}
