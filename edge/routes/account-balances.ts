import { bookOf } from "../../shared/assets.ts";
import type { JournalHead, LedgerBalance } from "../../shared/ledger-record.ts";
import type { AccountSummary } from "../billing/account-answers.ts";

/**
 * What an account has, as the ledger names it: holds of tasks that run are in the Account's memory,
 * and still available to the ledger.
 */
export function accountBalances({ accountId, balance, earned }: AccountSummary): {
  balances: LedgerBalance[];
  journal: JournalHead | null;
} {
  const asset = "CREDIT";
  return {
    balances: [
      { book: bookOf(accountId, "available"), asset, balance: String(balance) },
      { book: bookOf(accountId, "earned"), asset, balance: String(earned) },
    ],
    journal: null,
  };
}
