import { and, eq, isNull, sql } from "drizzle-orm";
import type { Limits } from "../../../shared/limits.ts";
import type { Database } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { selectRows } from "../rows.ts";
import { projects } from "../schema/people.ts";
import { type GroupKey, type GroupQuery, groupsMax } from "./teams.ts";

export type Project = typeof projects.$inferSelect;
export type NewProject = Omit<Project, "archivedAt">;

/**
 * Stores a project; false where the account has as many as it may, or where the team it is to be in
 * is not the account's, or archived.
 */
export async function createProject(db: Database, project: NewProject): Promise<boolean> {
  const { accountId, teamId } = project;
  const row = { ...project, archivedAt: null };
  const [created] = await db.write("create the project", (orm) => [
    orm.insert(projects).select(
      sql`${selectRows(projects, [row])}
        and (select count(*) from projects as p
          where p.account_id = ${accountId} and p.archived_at is null) < ${groupsMax}
        and (${teamId} is null or exists (select 1 from teams as t
          where t.id = ${teamId} and t.account_id = ${accountId} and t.archived_at is null))`,
    ),
  ]);
  return created === 1;
}

export async function findProject(db: Database, key: GroupKey): Promise<Project | null> {
  const rows = await db.read("find the project", (orm) =>
    orm.select().from(projects).where(projectIs(key)),
  );
  return rows[0] ?? null;
}

/** The projects of an account or of one of its teams, newest first. */
export async function listProjects(
  db: Database,
  query: GroupQuery & { readonly teamId?: string | undefined },
): Promise<Page<Project>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: projects.createdAt, id: projects.id };
  const rows = await db.read("list the projects", (orm) =>
    orm
      .select()
      .from(projects)
      .where(
        and(
          eq(projects.accountId, query.accountId),
          query.teamId === undefined ? undefined : eq(projects.teamId, query.teamId),
          query.archived ? undefined : isNull(projects.archivedAt),
          beforeInTime(order, after),
        ),
      )
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}

/** Changes what is given and leaves the rest; false where there is no such project, or no more. */
export async function changeProject(
  db: Database,
  key: GroupKey,
  change: { readonly name?: string | undefined; readonly limits?: Limits | null | undefined },
): Promise<boolean> {
  const [changed] = await db.write("change the project", (orm) => [
    orm
      .update(projects)
      .set(change)
      .where(and(projectIs(key), isNull(projects.archivedAt))),
  ]);
  return changed === 1;
}

/** Archives a project, once; false where there is none such. */
export async function archiveProject(
  db: Database,
  key: GroupKey & { readonly atMs: number },
): Promise<boolean> {
  const at = sql.param(key.atMs, projects.archivedAt);
  const [archived] = await db.write("archive the project", (orm) => [
    orm
      .update(projects)
      .set({ archivedAt: sql`coalesce(${projects.archivedAt}, ${at})` })
      .where(projectIs(key)),
  ]);
  return archived === 1;
}

function projectIs({ accountId, id }: GroupKey) {
  return and(eq(projects.id, id), eq(projects.accountId, accountId));
}
