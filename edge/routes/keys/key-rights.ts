import { isBlockWithin, parseAddressBlock } from "../../../shared/addresses.ts";
import { OctoError } from "../../../shared/errors.ts";
import {
  type KeyScope,
  type MemberRole,
  permissionsByRole,
  permissionsOf,
} from "../../../shared/permissions.ts";
import type { Caller, Context, KeyRules } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { findApiKey } from "../../db/people/api-keys.ts";
import { systemAccountId } from "../active-caller.ts";
import { noSuchAccount } from "../known-account.ts";

/** What a key is to be limited to. */
export interface KeyLimitations {
  readonly models: readonly string[] | null;
  readonly addresses: readonly string[] | null;
  readonly expiresAt: number | null;
}

/** Whose keys a caller means: its own account's, or the one that an operator names. */
export function subjectAccount(caller: Caller, asked: string | undefined): string {
  if (asked === undefined) {
    if (caller.accountId !== systemAccountId) return caller.accountId;
    throw new OctoError("invalid_request", "account_id: say whose; this key has no account", {
      param: "account_id",
    });
  }
  if (asked !== caller.accountId && !isOperator(caller)) throw noSuchAccount(asked);
  return asked;
}

/** As `subjectAccount` where a key is named: an operator who names no account means the key's. */
export async function accountOfKey(
  ctx: Context,
  caller: Caller,
  { id, asked }: { readonly id: string; readonly asked: string | undefined },
): Promise<string> {
  if (asked !== undefined || !isOperator(caller)) return subjectAccount(caller, asked);
  await using db = databaseOf(ctx.env);
  const row = await findApiKey(db, id);
  if (row === null) throw noSuchKey(id);
  return row.accountId;
}

export function noSuchKey(id: string): OctoError {
  return new OctoError("not_found", `There is no API key ${id}`);
}

/**
 * Refuses scopes that say more than the caller may do itself, which whoever learns the new secret
 * could do. Operators give all of them but their own: with a second key, made or rotated, one would
 * be both of those who have to agree on an approval. That scope is the deployment's own key's to
 * give. People run no inference themselves, because what is spent has a key: so whoever may make
 * keys at all may make one for that.
 */
export function assertMayGive(caller: Caller, scopes: readonly KeyScope[]): void {
  if (caller.accountId === systemAccountId) return;
  if (scopes.includes("operator")) {
    throw new OctoError(
      "insufficient_scope",
      "Cannot give the scope operator: the deployment's own operator key does that alone",
      { param: "scopes" },
    );
  }
  if (isOperator(caller)) return;
  for (const scope of scopes) {
    if (scope === "inference" && caller.personId !== null) continue;
    const missing = [...permissionsOf([scope])].find((one) => !caller.permissions.has(one));
    if (missing === undefined) continue;
    throw new OctoError(
      "insufficient_scope",
      `Cannot give the scope ${scope}: it has the permission ${missing}, which you do not have`,
      { param: "scopes" },
    );
  }
}

/**
 * Refuses a role that says more than the caller may do itself: an admin's friend moves no money.
 * Nor does a key that is limited make people, whom its limitations do not bind. Who makes owners is
 * the members' own rule (M1).
 */
export function assertMayGiveRole(caller: Caller, role: MemberRole): void {
  if (caller.key !== null && isLimited(caller.key)) {
    throw new OctoError(
      "insufficient_scope",
      "Cannot give a role: your key is limited to models, addresses or a time, and people are not",
    );
  }
  if (role === "owner") return;
  const missing = [...permissionsByRole[role]].find((one) => !caller.permissions.has(one));
  if (missing === undefined) return;
  throw new OctoError(
    "insufficient_scope",
    `Cannot give the role ${role}: it has the permission ${missing}, which you do not have`,
    { param: "role" },
  );
}

/** Refuses what a key that is limited itself would be rid of by another key. */
export function assertWithinOwn({ key, ...caller }: Caller, given: Partial<KeyLimitations>): void {
  if (key === null || caller.permissions.has("network:operate")) return;
  const { models, addresses, expiresMs } = key;
  if (given.models !== undefined && models !== null) {
    const isWithin = given.models?.every((model) => models.includes(model)) ?? false;
    if (!isWithin) throw beyondOwn("models", `may ask for ${models.join(", ")} alone`);
  }
  if (given.addresses !== undefined && addresses !== null) {
    const blocks = given.addresses?.map((text) => parseAddressBlock(text)) ?? [null];
    const isWithin = blocks.every(
      (block) => block !== null && addresses.some((own) => isBlockWithin(block, own)),
    );
    if (!isWithin) throw beyondOwn("addresses", "may come from some addresses alone");
  }
  if (given.expiresAt !== undefined && expiresMs !== null) {
    if (given.expiresAt !== null && given.expiresAt <= expiresMs) return;
    throw beyondOwn("expires_at", `ends at ${new Date(expiresMs).toISOString()}`);
  }
}

function isLimited({ models, addresses, expiresMs }: KeyRules): boolean {
  return models !== null || addresses !== null || expiresMs !== null;
}

function beyondOwn(param: string, own: string): OctoError {
  return new OctoError(
    "insufficient_scope",
    `${param}: your own key ${own}, and gives no more than that`,
    { param },
  );
}

function isOperator(caller: Caller): boolean {
  return caller.permissions.has("network:operate");
}
