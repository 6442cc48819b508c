import { bookOf } from "../../../shared/assets.ts";
import type { JournalHead, LedgerBalance } from "../../../shared/ledger-record.ts";
import type { AccountSummary } from "../../billing/account-answers.ts";

/**
 * What an account has, as the ledger names it: holds of tasks that run are in the Account's memory,
 * and still available to the ledger. What is available and earned is told though it is nothing.
 */
export function accountBalances(summary: AccountSummary): {
  balances: LedgerBalance[];
  journal: JournalHead | null;
} {
  const { accountId, available, earned, buckets, journal } = summary;
  const asset = "CREDIT";
  const others = buckets.filter((of) => {
    return of.asset !== asset || (of.bucket !== "available" && of.bucket !== "earned");
  });
  return {
    balances: [
      { book: bookOf(accountId, "available"), asset, balance: String(available) },
      { book: bookOf(accountId, "earned"), asset, balance: String(earned) },
      ...others.map(({ asset, bucket, micros }) => {
        return { book: bookOf(accountId, bucket), asset, balance: String(micros) };
      }),
    ],
    journal: journal.seq === 0 ? null : { source: accountId, ...journal },
  };
}
