import { and, eq } from "drizzle-orm";
import type { Database } from "./database.ts";
import { beforeInTime, newestFirst } from "./order.ts";
import type { Page, PageRequest } from "./page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "./page.ts";
import { projects, teams } from "./schema-people.ts";

export type Team = typeof teams.$inferSelect;
export type Project = typeof projects.$inferSelect;

interface OfAccount {
  readonly accountId: string;
  readonly id: string;
}

export async function createTeam(db: Database, team: Team): Promise<void> {
  await db.write("create the team", (orm) => [orm.insert(teams).values(team)]);
}

/** One of an account's teams, archived ones too; null where the account has none such. */
export async function findTeam(db: Database, { accountId, id }: OfAccount): Promise<Team | null> {
  const rows = await db.read("find the team", (orm) =>
    orm
      .select()
      .from(teams)
      .where(and(eq(teams.id, id), eq(teams.accountId, accountId))),
  );
  return rows[0] ?? null;
}

/** Changes what is given and leaves the rest; false where the account has no such team. */
export async function changeTeam(
  db: Database,
  { accountId, id }: OfAccount,
  change: Partial<Pick<Team, "name" | "limits" | "archivedAt">>,
): Promise<boolean> {
  const [changed] = await db.write("change the team", (orm) => [
    orm
      .update(teams)
      .set(change)
      .where(and(eq(teams.id, id), eq(teams.accountId, accountId))),
  ]);
  return changed === 1;
}

/** The teams of an account, newest first. */
export async function listTeams(
  db: Database,
  query: PageRequest & { readonly accountId: string },
): Promise<Page<Team>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: teams.createdAt, id: teams.id };
  const rows = await db.read("list the teams", (orm) =>
    orm
      .select()
      .from(teams)
      .where(and(eq(teams.accountId, query.accountId), beforeInTime(order, after)))
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}

/** One of an account's projects, archived ones too; null where the account has none such. */
export async function findProject(
  db: Database,
  { accountId, id }: OfAccount,
): Promise<Project | null> {
  const rows = await db.read("find the project", (orm) =>
    orm
      .select()
      .from(projects)
      .where(and(eq(projects.id, id), eq(projects.accountId, accountId))),
  );
  return rows[0] ?? null;
}
