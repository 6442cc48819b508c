import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { newId } from "../../../shared/ids.ts";
import { type Limits, limitsSchema } from "../../../shared/limits.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import {
  archiveTeam,
  changeTeam,
  createTeam,
  findTeam,
  type GroupKey,
  groupsMax,
  listTeams,
  type Team,
} from "../../db/people/teams.ts";
import {
  flagInQuery,
  nameField,
  pageQuery,
  pageSchema,
  pageToJson,
  teamIdField,
  timeField,
  timeToJson,
} from "../fields.ts";
import { pushLimits } from "../keys/push-limits.ts";
import { defineRoute, type Route } from "../route.ts";

const path = "/api/v1/teams";
const params = z.strictObject({ id: teamIdField });

export const limitsField = limitsSchema
  .nullable()
  .meta({ description: "What everything in it may use together; null for no limit of its own" });

/** Archived teams and projects are listed only where they are asked for. */
export const groupPageQuery = { ...pageQuery, archived: flagInQuery.default(false) };

const teamSchema = z
  .object({
    object: z.literal("team"),
    id: teamIdField,
    name: z.string(),
    limits: limitsField,
    created_at: timeField,
    archived_at: timeField.nullable(),
  })
  .meta({ id: "Team", description: "Keys and projects of an account that have limits together." });

const newTeamSchema = z.strictObject({ name: nameField, limits: limitsField.default(null) }).meta({
  id: "NewTeam",
  examples: [{ name: "research", limits: { day_budget_micros: 5_000_000 } }],
});

const teamChangeSchema = z
  .strictObject({ name: nameField.optional(), limits: limitsField.optional() })
  .refine((change) => Object.keys(change).length > 0, "change at least one field")
  .meta({ id: "TeamChange", examples: [{ limits: { requests_per_minute: 60 } }] });

/** The teams of the caller's account. */
export const teamRoutes: readonly Route[] = [
  defineRoute({
    name: "createTeam",
    method: "post",
    path,
    summary: "Make a team",
    access: "account:write",
    body: newTeamSchema,
    status: 201,
    answer: teamSchema,
    errors: ["conflict"],
    async handle({ ctx, caller: { accountId }, body: { name, limits } }) {
      const team = { id: newId("team"), accountId, name, limits: null, createdAt: ctx.startedMs };
      await using db = databaseOf(ctx.env);
      if (!(await createTeam(db, team))) {
        throw new OctoError("conflict", `Cannot make a team: the account has ${groupsMax}`);
      }
      if (limits !== null) await pushLimits(ctx, accountId, { scope: "team", id: team.id, limits });
      return teamToJson({ ...team, limits, archivedAt: null });
    },
  }),
  defineRoute({
    name: "listTeams",
    method: "get",
    path,
    summary: "List your teams, newest first",
    access: "account:read",
    query: z.strictObject(groupPageQuery),
    answer: pageSchema(teamSchema).meta({ id: "TeamPage" }),
    async handle({ ctx, caller: { accountId }, query }) {
      await using db = databaseOf(ctx.env);
      return pageToJson(await listTeams(db, { accountId, ...query }), teamToJson);
    },
  }),
  defineRoute({
    name: "changeTeam",
    method: "patch",
    path: `${path}/:id`,
    summary: "Rename a team, or change its limits",
    access: "account:write",
    params,
    body: teamChangeSchema,
    answer: teamSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller: { accountId }, params: { id }, body: { name, limits } }) {
      const key = { accountId, id };
      await using db = databaseOf(ctx.env);
      const isRenamed = name === undefined || (await changeTeam(db, key, { name }));
      const isLimited =
        limits === undefined ||
        (isRenamed && (await pushLimits(ctx, accountId, { scope: "team", id, limits })));
      const team = await knownTeam(ctx, key);
      if (!isRenamed || !isLimited) throw new OctoError("conflict", `The team ${id} is archived`);
      return teamToJson(team);
    },
  }),
  defineRoute({
    name: "archiveTeam",
    method: "delete",
    path: `${path}/:id`,
    summary: "Archive a team",
    about:
      "Nothing can be put in it any more. What it spent stays told, and keys that are in it keep " +
      "working under its limits until they are revoked. Its projects have to be archived first.",
    access: "account:write",
    params,
    answer: teamSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller: { accountId }, params: { id } }) {
      const key = { accountId, id };
      await using db = databaseOf(ctx.env);
      const isArchived = await archiveTeam(db, { ...key, atMs: ctx.startedMs });
      const team = await knownTeam(ctx, key);
      if (isArchived) return teamToJson(team);
      throw new OctoError("conflict", `The team ${id} has projects: archive them first`);
    },
  }),
];

async function knownTeam(ctx: Context, key: GroupKey): Promise<Team> {
  await using db = databaseOf(ctx.env);
  const team = await findTeam(db, key);
  if (team === null) throw new OctoError("not_found", `There is no team ${key.id}`);
  return team;
}

/** Stored limits were checked when they came: others are damage, and nobody goes on without. */
export function limitsToJson(stored: unknown): Limits | null {
  return limitsField.parse(stored);
}

function teamToJson(row: Team): z.infer<typeof teamSchema> {
  return {
    object: "team",
    id: row.id,
    name: row.name,
    limits: limitsToJson(row.limits),
    created_at: timeToJson(row.createdAt),
    archived_at: timeToJson(row.archivedAt),
  };
}
