import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Figure } from "../figure.ts";
import { measureAccounts } from "../ledger/account-pairs.ts";
import { measureAuthentication } from "../ledger/authentication.ts";
import { measureMoney } from "../ledger/money-on.ts";

/**
 * What exact money costs: at the accounts, on the way to libSQL, and on the way of a request, which
 * begins with who asks.
 */
export async function ledger(progress: (line: string) => void): Promise<readonly Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), "octo-bench-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  return [
    ...(await measureAccounts(folder, progress)),
    ...(await measureMoney(folder, progress)),
    ...(await measureAuthentication(folder, progress)),
  ];
}
