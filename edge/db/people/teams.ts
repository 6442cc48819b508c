import { and, eq, isNull, notExists, sql } from "drizzle-orm";
import type { Limits } from "../../../shared/limits.ts";
import type { Database } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { selectRows } from "../rows.ts";
import { projects, teams } from "../schema/people.ts";

export type Team = typeof teams.$inferSelect;
export type NewTeam = Omit<Team, "archivedAt">;

/** Of teams, and of projects, that are not archived: what one person can keep in mind. */
export const groupsMax = 100;

export interface GroupKey {
  readonly accountId: string;
  readonly id: string;
}

/** Lists leave out what is archived unless they are asked for it. */
export type GroupQuery = PageRequest & {
  readonly accountId: string;
  readonly archived: boolean;
};

/** Stores a team; false where the account has as many as it may. */
export async function createTeam(db: Database, team: NewTeam): Promise<boolean> {
  const row = { ...team, archivedAt: null };
  const [created] = await db.write("create the team", (orm) => [
    orm.insert(teams).select(
      sql`${selectRows(teams, [row])} and (select count(*) from teams as t
        where t.account_id = ${team.accountId} and t.archived_at is null) < ${groupsMax}`,
    ),
  ]);
  return created === 1;
}

export async function findTeam(db: Database, key: GroupKey): Promise<Team | null> {
  const rows = await db.read("find the team", (orm) => orm.select().from(teams).where(teamIs(key)));
  return rows[0] ?? null;
}

/** The teams of an account, newest first. */
export async function listTeams(db: Database, query: GroupQuery): Promise<Page<Team>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: teams.createdAt, id: teams.id };
  const rows = await db.read("list the teams", (orm) =>
    orm
      .select()
      .from(teams)
      .where(
        and(
          eq(teams.accountId, query.accountId),
          query.archived ? undefined : isNull(teams.archivedAt),
          beforeInTime(order, after),
        ),
      )
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}

/** Changes what is given and leaves the rest; false where there is no such team, or no more. */
export async function changeTeam(
  db: Database,
  key: GroupKey,
  change: { readonly name?: string | undefined; readonly limits?: Limits | null | undefined },
): Promise<boolean> {
  const [changed] = await db.write("change the team", (orm) => [
    orm
      .update(teams)
      .set(change)
      .where(and(teamIs(key), isNull(teams.archivedAt))),
  ]);
  return changed === 1;
}

/** Archives a team; false where there is none such, or where it has projects that are not. */
export async function archiveTeam(
  db: Database,
  key: GroupKey & { readonly atMs: number },
): Promise<boolean> {
  const at = sql.param(key.atMs, teams.archivedAt);
  const [archived] = await db.write("archive the team", (orm) => [
    orm
      .update(teams)
      .set({ archivedAt: sql`coalesce(${teams.archivedAt}, ${at})` })
      .where(
        and(
          teamIs(key),
          notExists(
            orm
              .select({ one: sql`1` })
              .from(projects)
              .where(and(eq(projects.teamId, teams.id), isNull(projects.archivedAt))),
          ),
        ),
      ),
  ]);
  return archived === 1;
}

function teamIs({ accountId, id }: GroupKey) {
  return and(eq(teams.id, id), eq(teams.accountId, accountId));
}
