import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { newId } from "../../../shared/ids.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import {
  archiveProject,
  changeProject,
  createProject,
  findProject,
  listProjects,
  type Project,
} from "../../db/people/projects.ts";
import { findTeam, type GroupKey, groupsMax } from "../../db/people/teams.ts";
import {
  nameField,
  pageSchema,
  pageToJson,
  projectIdField,
  teamIdField,
  timeField,
  timeToJson,
} from "../fields.ts";
import { pushLimits } from "../keys/push-limits.ts";
import { defineRoute, type Route } from "../route.ts";
import { groupPageQuery, limitsField, limitsToJson } from "./teams.ts";

const path = "/api/v1/projects";
const params = z.strictObject({ id: projectIdField });

const projectSchema = z
  .object({
    object: z.literal("project"),
    id: projectIdField,
    team_id: teamIdField.nullable(),
    name: z.string(),
    limits: limitsField,
    created_at: timeField,
    archived_at: timeField.nullable(),
  })
  .meta({ id: "Project", description: "Keys of an account that work on one thing." });

const newProjectSchema = z
  .strictObject({
    name: nameField,
    team_id: teamIdField.nullable().default(null),
    limits: limitsField.default(null),
  })
  .meta({ id: "NewProject", examples: [{ name: "search", limits: { concurrency: 4 } }] });

const projectChangeSchema = z
  .strictObject({ name: nameField.optional(), limits: limitsField.optional() })
  .refine((change) => Object.keys(change).length > 0, "change at least one field")
  .meta({ id: "ProjectChange", examples: [{ name: "search and find" }] });

/** The projects of the caller's account, in a team or in none. */
export const projectRoutes: readonly Route[] = [
  defineRoute({
    name: "createProject",
    method: "post",
    path,
    summary: "Begin a project",
    access: "account:write",
    body: newProjectSchema,
    status: 201,
    answer: projectSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller: { accountId }, body: { name, team_id: teamId, limits } }) {
      const id = newId("prj");
      const project = { id, accountId, teamId, name, limits: null, createdAt: ctx.startedMs };
      await using db = databaseOf(ctx.env);
      if (!(await createProject(db, project))) throw await whyNotCreated(ctx, accountId, teamId);
      if (limits !== null) await pushLimits(ctx, accountId, { scope: "project", id, limits });
      return projectToJson({ ...project, limits, archivedAt: null });
    },
  }),
  defineRoute({
    name: "listProjects",
    method: "get",
    path,
    summary: "List your projects, newest first",
    access: "account:read",
    query: z.strictObject({ ...groupPageQuery, team_id: teamIdField.optional() }),
    answer: pageSchema(projectSchema).meta({ id: "ProjectPage" }),
    async handle({ ctx, caller: { accountId }, query: { team_id: teamId, ...query } }) {
      await using db = databaseOf(ctx.env);
      return pageToJson(await listProjects(db, { accountId, teamId, ...query }), projectToJson);
    },
  }),
  defineRoute({
    name: "changeProject",
    method: "patch",
    path: `${path}/:id`,
    summary: "Rename a project, or change its limits",
    access: "account:write",
    params,
    body: projectChangeSchema,
    answer: projectSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller: { accountId }, params: { id }, body: { name, limits } }) {
      const key = { accountId, id };
      await using db = databaseOf(ctx.env);
      const isRenamed = name === undefined || (await changeProject(db, key, { name }));
      const isLimited =
        limits === undefined ||
        (isRenamed && (await pushLimits(ctx, accountId, { scope: "project", id, limits })));
      const project = await knownProject(ctx, key);
      if (!isRenamed || !isLimited) throw new OctoError("conflict", `${id} is archived`);
      return projectToJson(project);
    },
  }),
  defineRoute({
    name: "archiveProject",
    method: "delete",
    path: `${path}/:id`,
    summary: "Archive a project",
    about:
      "Nothing can be put in it any more. What it spent stays told, and keys that are in it keep " +
      "working under its limits until they are revoked.",
    access: "account:write",
    params,
    answer: projectSchema,
    errors: ["not_found"],
    async handle({ ctx, caller: { accountId }, params: { id } }) {
      const key = { accountId, id };
      await using db = databaseOf(ctx.env);
      await archiveProject(db, { ...key, atMs: ctx.startedMs });
      return projectToJson(await knownProject(ctx, key));
    },
  }),
];

/** Why a project was not begun, by what is true just after. */
async function whyNotCreated(
  ctx: Context,
  accountId: string,
  teamId: string | null,
): Promise<OctoError> {
  await using db = databaseOf(ctx.env);
  const team = teamId === null ? null : await findTeam(db, { accountId, id: teamId });
  if (teamId !== null && team === null) {
    return new OctoError("not_found", `There is no team ${teamId}`, { param: "team_id" });
  }
  if (team !== null && team.archivedAt !== null) {
    return new OctoError("conflict", `The team ${team.id} is archived`, { param: "team_id" });
  }
  return new OctoError("conflict", `Cannot begin a project: the account has ${groupsMax}`);
}

async function knownProject(ctx: Context, key: GroupKey): Promise<Project> {
  await using db = databaseOf(ctx.env);
  const project = await findProject(db, key);
  if (project === null) throw new OctoError("not_found", `There is no project ${key.id}`);
  return project;
}

function projectToJson(row: Project): z.infer<typeof projectSchema> {
  return {
    object: "project",
    id: row.id,
    team_id: row.teamId,
    name: row.name,
    limits: limitsToJson(row.limits),
    created_at: timeToJson(row.createdAt),
    archived_at: timeToJson(row.archivedAt),
  };
}
