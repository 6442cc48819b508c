import { OctoError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { databaseOf } from "../database.ts";
import { type Account, findAccount } from "../db/people/accounts.ts";
import { accountObject } from "../objects.ts";
import { storedLimits } from "./keys/stored-limits.ts";

/** An account of the registry with its Account object, opened. */
export interface KnownAccount {
  readonly row: Account;
  readonly object: ReturnType<typeof accountObject>;
}

/** The account with this id; throws `not_found`. */
export async function knownAccount(ctx: Pick<Context, "env">, id: string): Promise<KnownAccount> {
  await using db = databaseOf(ctx.env);
  const row = await findAccount(db, id);
  if (row === null) throw noSuchAccount(id);
  const object = accountObject(ctx.env, id);
  // An edge that died between the registry and the Account leaves one that was never opened.
  if (!(await object.isOpen())) await openAccount(ctx, row);
  return { row, object };
}

/** Opens the Account object of a registered account. */
export async function openAccount(ctx: Pick<Context, "env">, row: Account): Promise<void> {
  const { id: accountId, status, concurrencyMax } = row;
  const limits = storedLimits(row.limits);
  await accountObject(ctx.env, accountId).open({ accountId, status, concurrencyMax, limits });
}

export function noSuchAccount(id: string): OctoError {
  return new OctoError("not_found", `There is no account ${id}`);
}
