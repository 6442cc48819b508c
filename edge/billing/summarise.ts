import type { AccountSummary } from "./account-answers.ts";
import { expireHolds } from "./account-state.ts";
import type { Books } from "./books.ts";
import { limitsOf } from "./limits/limit-chain.ts";
import type { DebtStore } from "./outbox/debt-store.ts";
import { bucketOf, filledBuckets, spendable } from "./money/buckets.ts";

/** The longest first: whoever looks at more than these has no need of a list. */
const owedMax = 100;

/** What an account has now. */
export function summarise({ opened: state, store }: Books, debts: DebtStore): AccountSummary {
  expireHolds(state, Date.now());
  const { accountId, status, available, held, earned, concurrencyMax, journal } = state;
  return {
    accountId,
    status,
    concurrencyMax,
    limits: limitsOf(state.limits, "account", accountId),
    balance: spendable(state),
    available,
    held,
    earned,
    disputed: bucketOf(state, "CREDIT", "disputed"),
    pending: bucketOf(state, "CREDIT", "held"),
    buckets: filledBuckets(state),
    journal,
    outboxEmpty: store.isOutboxEmpty(),
    owed: debts.list(owedMax),
  };
}
