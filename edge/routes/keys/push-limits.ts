import type { Limits } from "../../../shared/limits.ts";
import type { GroupId } from "../../billing/limits/limit-chain.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { changeProject, findProject } from "../../db/people/projects.ts";
import { changeTeam, findTeam } from "../../db/people/teams.ts";
import { knownAccount } from "../known-account.ts";

/*
 * What routes that change limits tell the Account, which is what obeys them: first the Account,
 * then the registry, so that nobody is shown a limit that does not hold yet. Where the key was in
 * use, this takes two seconds: until then tasks may begin under a lease that knows no limit.
 */

/** Tells an Account what a team, a project or all of the account together may use. */
export async function pushGroup(
  ctx: Context,
  accountId: string,
  group: GroupId & { readonly limits: Limits | null },
): Promise<void> {
  const { object } = await knownAccount(ctx, accountId);
  await object.setLimits({ scope: group.scope, id: group.id }, group.limits);
}

/**
 * Makes the limits of a team or a project hold and known. False where the account has no such
 * group, or where it is archived.
 */
export async function pushLimits(
  ctx: Context,
  accountId: string,
  group: {
    readonly scope: "team" | "project";
    readonly id: string;
    readonly limits: Limits | null;
  },
): Promise<boolean> {
  const { scope, id, limits } = group;
  const [find, change] = scope === "team" ? [findTeam, changeTeam] : [findProject, changeProject];
  await using db = databaseOf(ctx.env);
  const row = await find(db, { accountId, id });
  if (row === null || row.archivedAt !== null) return false;
  await pushGroup(ctx, accountId, { scope, id, limits });
  return change(db, { accountId, id }, { limits });
}
