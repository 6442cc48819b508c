import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { newId } from "../../../shared/ids.ts";
import type { Caller, Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { spentSince } from "../../db/money/spend.ts";
import {
  changeTeam,
  createTeam,
  findTeam,
  groupsMax,
  listTeams,
  type Team,
} from "../../db/people/teams.ts";
import { microsToJson, pageQuery, teamIdField } from "../fields.ts";
import {
  budgetOf,
  limitsWith,
  monthStartMs,
  newTeamSchema,
  teamInfoSchema,
  toSeconds,
  updateTeamSchema,
  virtualTeamSchema,
} from "./gateway-schema.ts";
import { subjectAccount } from "./key-rights.ts";
import { storedLimits } from "./key-schema.ts";
import { pushLimits } from "./push-limits.ts";
import { defineRoute, type Route } from "../route.ts";

const params = z.strictObject({ id: teamIdField });
const about = "As CipherOcto's gateway specification has it.";

/** Teams under the names of the gateway specification. */
export const gatewayTeamRoutes: readonly Route[] = [
  defineRoute({
    name: "createVirtualTeam",
    method: "post",
    path: "/team",
    summary: "Create a team",
    about,
    access: "account:write",
    body: newTeamSchema,
    answer: virtualTeamSchema,
    errors: ["conflict"],
    async handle({ ctx, caller, body }) {
      const accountId = subjectAccount(caller, undefined);
      const [id, limits] = [newId("team"), limitsWith(null, body)];
      const team = { id, accountId, name: body.name, limits: null, createdAt: ctx.startedMs };
      await using db = databaseOf(ctx.env);
      if (!(await createTeam(db, team))) {
        throw new OctoError("conflict", `Cannot make a team: the account has ${groupsMax}`);
      }
      if (limits !== null) await pushLimits(ctx, accountId, { scope: "team", id, limits });
      return teamToJson({ ...team, limits, archivedAt: null });
    },
  }),
  defineRoute({
    name: "listVirtualTeams",
    method: "get",
    path: "/team",
    summary: "List the teams of your account, newest first",
    about,
    access: "account:read",
    query: z.strictObject(pageQuery),
    answer: z
      .object({ teams: z.array(virtualTeamSchema), next_cursor: z.string().nullable() })
      .meta({ id: "VirtualTeamList" }),
    async handle({ ctx, caller, query }) {
      const accountId = subjectAccount(caller, undefined);
      await using db = databaseOf(ctx.env);
      const { items, next } = await listTeams(db, { accountId, archived: false, ...query });
      return { teams: items.map(teamToJson), next_cursor: next };
    },
  }),
  defineRoute({
    name: "readVirtualTeam",
    method: "get",
    path: "/team/:id",
    summary: "Read a team and what it has spent",
    about,
    access: "account:read",
    params,
    answer: teamInfoSchema,
    errors: ["not_found"],
    async handle({ ctx, caller, params: { id } }) {
      const team = await teamOf(ctx, caller, id);
      await using db = databaseOf(ctx.env);
      const { accountId } = team;
      const sinceMs = monthStartMs(ctx.startedMs);
      const spent = await spentSince(db, { accountId, sinceMs, of: { teamId: id } });
      return { ...teamToJson(team), current_spend: microsToJson(spent) };
    },
  }),
  defineRoute({
    name: "updateVirtualTeam",
    method: "put",
    path: "/team/:id",
    summary: "Rename a team or change its budget",
    about,
    access: "account:write",
    params,
    body: updateTeamSchema,
    answer: virtualTeamSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, params: { id }, body: { name, ...named } }) {
      const team = await teamOf(ctx, caller, id);
      const limits = limitsWith(storedLimits(team.limits), named);
      await using db = databaseOf(ctx.env);
      const isRenamed = name === undefined || (await changeTeam(db, team, { name }));
      const { accountId } = team;
      const isLimited =
        Object.keys(named).length === 0 ||
        (isRenamed && (await pushLimits(ctx, accountId, { scope: "team", id, limits })));
      if (!isRenamed || !isLimited) throw new OctoError("conflict", `The team ${id} is archived`);
      return teamToJson({ ...team, name: name ?? team.name, limits });
    },
  }),
];

async function teamOf(ctx: Context, { accountId }: Caller, id: string): Promise<Team> {
  await using db = databaseOf(ctx.env);
  const team = await findTeam(db, { accountId, id });
  if (team === null) throw new OctoError("not_found", `There is no team ${id}`);
  return team;
}

function teamToJson(team: Team): z.infer<typeof virtualTeamSchema> {
  return {
    team_id: team.id,
    name: team.name,
    budget_limit: budgetOf(team.limits),
    created_at: toSeconds(team.createdAt),
  };
}
