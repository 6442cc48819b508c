import { z } from "zod";
import { OctoError } from "../../shared/errors.ts";
import { newId } from "../../shared/ids.ts";
import type { Caller, Context } from "../context.ts";
import { databaseOf } from "../database.ts";
import { spentSince } from "../db/spend.ts";
import { changeTeam, createTeam, findTeam, listTeams, type Team } from "../db/teams.ts";
import { microsToJson, pageQuery } from "./fields.ts";
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
import { storedLimits, teamIdField } from "./key-schema.ts";
import { defineRoute, type Route } from "./route.ts";

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
    async handle({ ctx, caller, body }) {
      const team: Team = {
        id: newId("team"),
        accountId: subjectAccount(caller, undefined),
        name: body.name,
        limits: limitsWith(null, body),
        createdAt: ctx.startedMs,
        archivedAt: null,
      };
      await using db = databaseOf(ctx.env);
      await createTeam(db, team);
      return teamToJson(team);
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
      const { items, next } = await listTeams(db, { accountId, ...query });
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
    errors: ["not_found"],
    async handle({ ctx, caller, params: { id }, body: { name, ...named } }) {
      const team = await teamOf(ctx, caller, id);
      const change = {
        ...(name === undefined ? {} : { name }),
        ...(Object.keys(named).length === 0
          ? {}
          : { limits: limitsWith(storedLimits(team.limits), named) }),
      };
      await using db = databaseOf(ctx.env);
      await changeTeam(db, team, change);
      return teamToJson({ ...team, ...change });
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
