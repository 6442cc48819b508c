import type { Figure } from "../figure.ts";
import { newFolder } from "../new-network.ts";
import { measureAccounts } from "../ledger/account-pairs.ts";
import { measureAuthentication } from "../ledger/authentication.ts";
import { measureMoney } from "../ledger/money-on.ts";

/**
 * What exact money costs: at the accounts, on the way to libSQL, and on the way of a request, which
 * begins with who asks.
 */
export async function ledger(progress: (line: string) => void): Promise<readonly Figure[]> {
  await using stack = new AsyncDisposableStack();
  const folder = await newFolder(stack);
  return [
    ...(await measureAccounts(folder, progress)),
    ...(await measureMoney(folder, progress)),
    ...(await measureAuthentication(folder, progress)),
  ];
}
