import { databaseOf } from "../database.ts";
import { journalHead } from "../db/ledger/account-ledger.ts";
import type { Env } from "../env.ts";
import { edgeLog } from "../log.ts";
import { createAccountState } from "./account-state.ts";
import type { Standing } from "./standing.ts";
import type { AccountSettings } from "./account-answers.ts";
import type { Books } from "./books.ts";

/** Opens an account, or changes how an open one stands. */
export async function openBooks(
  books: Books,
  env: Env,
  { accountId, status, concurrencyMax }: AccountSettings,
): Promise<void> {
  const standing = await standingOf(books, env, accountId);
  const state = books.state ?? createAccountState(accountId);
  state.standing = standing;
  state.status = status;
  state.concurrencyMax = concurrencyMax;
  books.store.save(state);
  books.state = state;
}

/**
 * How an account stands that is opened: one that its storage knows as it stood. One that it does
 * not know is new, unless the ledger has a journal of it: then the storage was lost.
 */
async function standingOf(books: Books, env: Env, accountId: string): Promise<Standing> {
  const known = books.state?.standing ?? "waiting";
  if (known !== "waiting") return known;
  await using db = databaseOf(env);
  const { seq } = await journalHead(db, accountId);
  // Somebody else may have opened it meanwhile.
  const now = books.state?.standing ?? "waiting";
  if (now !== "waiting") return now;
  const ownSeq = books.state?.journal.seq ?? 0;
  if (seq <= ownSeq) return "open";
  edgeLog("error", "an account has lost its books", { account: accountId, ledger: seq });
  return "lost";
}
