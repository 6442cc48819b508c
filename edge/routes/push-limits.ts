import type { Limits } from "../../shared/limits.ts";
import type { Context } from "../context.ts";
import { databaseOf } from "../database.ts";
import { changeProject } from "../db/projects.ts";
import { changeTeam } from "../db/teams.ts";

/** What a group of an account may use together; null for no limit. */
export interface GroupLimits {
  readonly scope: "team" | "project";
  readonly id: string;
  readonly limits: Limits | null;
}

/**
 * Makes limits known to whoever keeps them: every change of a team's or a project's limits comes
 * through here. False where the account has no such group, or where it is archived.
 */
export async function pushLimits(
  ctx: Context,
  accountId: string,
  { scope, id, limits }: GroupLimits,
): Promise<boolean> {
  await using db = databaseOf(ctx.env);
  const change = scope === "team" ? changeTeam : changeProject;
  return await change(db, { accountId, id }, { limits });
}
