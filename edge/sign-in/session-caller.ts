import { OctoError } from "../../shared/errors.ts";
import { permissionsByRole } from "../../shared/permissions.ts";
import type { Caller, Context } from "../context.ts";
import { databaseOf } from "../database.ts";
import { findMembership } from "../db/people/members.ts";
import { readSession } from "./session.ts";

/** The account of a person who acts for none: it has no permissions, and no account has this id. */
export const noAccountId = "none";

/**
 * The caller of a session token. Their role is asked of the registry each time, so that whoever
 * removes a member has removed them; nothing of it is remembered.
 */
export async function sessionCaller(ctx: Context, token: string): Promise<Caller> {
  const session = await readSession(ctx, token);
  if (session === null) throw wrongSession();
  const { personId, accountId } = session;
  const caller = { keyId: null, personId, teamId: null, projectId: null, key: null, routing: null };
  if (accountId === null) {
    return { ...caller, accountId: noAccountId, permissions: new Set() };
  }
  await using db = databaseOf(ctx.env);
  const membership = await findMembership(db, { accountId, personId });
  if (membership === null || membership.accountStatus !== "active") throw wrongSession();
  return { ...caller, accountId, permissions: permissionsByRole[membership.role] };
}

/** One answer for every token that opens nothing: it tells a guesser nothing. */
function wrongSession(): OctoError {
  return new OctoError(
    "invalid_api_key",
    "The session is not valid: it has ended, is for another edge, or its member was removed; " +
      "sign in again",
  );
}
