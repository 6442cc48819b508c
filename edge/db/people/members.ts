import { and, eq, getTableColumns, ne, or, type SQL, sql } from "drizzle-orm";
import type { MemberRole } from "../../../shared/permissions.ts";
import type { Account } from "./accounts.ts";
import type { Database } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { selectRows } from "../rows.ts";
import { accounts } from "../schema/registry.ts";
import { members, people } from "../schema/people.ts";

/*
 * M1. Only an owner makes or unmakes an owner.
 * M2. An account that has an owner keeps one.
 * Both are conditions of the statement that writes, so that two changes at a time cannot get past
 * them together: writes of the database come one after the other.
 */

export type StoredMember = typeof members.$inferSelect;
export type Member = StoredMember & { readonly name: string };

/** Who changes members: a person, or null for an API key, which is no owner. */
export interface MemberChange {
  readonly accountId: string;
  readonly byPersonId: string | null;
  readonly personId: string;
}

/** What a session needs of a member and of the account. */
export async function findMembership(
  db: Database,
  key: { readonly accountId: string; readonly personId: string },
): Promise<{ readonly role: MemberRole; readonly accountStatus: Account["status"] } | null> {
  const rows = await db.read("find the member", (orm) =>
    orm
      .select({ role: members.role, accountStatus: accounts.status })
      .from(members)
      .innerJoin(accounts, eq(accounts.id, members.accountId))
      .where(memberIs(key)),
  );
  return rows[0] ?? null;
}

export async function findMember(
  db: Database,
  key: { readonly accountId: string; readonly personId: string },
): Promise<Member | null> {
  const rows = await db.read("find the member", (orm) =>
    orm
      .select({ ...getTableColumns(members), name: people.name })
      .from(members)
      .innerJoin(people, eq(people.id, members.personId))
      .where(memberIs(key)),
  );
  return rows[0] ?? null;
}

/** The members of an account, the newest first. */
export async function listMembers(
  db: Database,
  query: PageRequest & { readonly accountId: string },
): Promise<Page<Member>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: members.createdAt, id: members.personId };
  const rows = await db.read("list the members", (orm) =>
    orm
      .select({ ...getTableColumns(members), name: people.name })
      .from(members)
      .innerJoin(people, eq(people.id, members.personId))
      .where(and(eq(members.accountId, query.accountId), beforeInTime(order, after)))
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.personId]);
}

/**
 * Makes a person who has signed in before a member. False where they are one already, nobody knows
 * them, or M1 forbids it.
 */
export async function addMember(
  db: Database,
  change: MemberChange & {
    readonly role: MemberRole;
    /** The person or the key that adds them. */
    readonly invitedBy: string;
    readonly nowMs: number;
  },
): Promise<boolean> {
  const { accountId, personId, role, invitedBy, nowMs: createdAt } = change;
  const row = { accountId, personId, role, invitedBy, createdAt };
  const [added] = await db.write("add the member", (orm) => [
    orm
      .insert(members)
      .select(
        sql`${selectRows(members, [row])}
          and exists (select 1 from ${people} where ${people.id} = ${personId})
          and (${role} <> 'owner' or ${isOwner(change)})`,
      )
      .onConflictDoNothing(),
  ]);
  return added === 1;
}

/** Gives a member another role; false where there is no such member, or M1 or M2 forbids it. */
export async function changeRole(
  db: Database,
  change: MemberChange & { readonly role: MemberRole },
): Promise<boolean> {
  const { role } = change;
  const [changed] = await db.write("change the member", (orm) => [
    orm
      .update(members)
      .set({ role })
      .where(
        and(
          memberIs(change),
          or(and(ne(members.role, "owner"), sql`${role} <> 'owner'`), isOwner(change)),
          or(ne(members.role, "owner"), sql`${role} = 'owner'`, hasOtherOwner(change)),
        ),
      ),
  ]);
  return changed === 1;
}

/** Removes a member; false where there is no such member, or M1 or M2 forbids it. */
export async function removeMember(db: Database, change: MemberChange): Promise<boolean> {
  const [removed] = await db.write("remove the member", (orm) => [
    orm
      .delete(members)
      .where(
        and(
          memberIs(change),
          or(ne(members.role, "owner"), isOwner(change)),
          or(ne(members.role, "owner"), hasOtherOwner(change)),
        ),
      ),
  ]);
  return removed === 1;
}

/** Whether an account has an owner, as a condition of a statement. */
export function hasOwner(accountId: string): SQL {
  return sql`exists (select 1 from members as o where o.account_id = ${accountId}
    and o.role = 'owner')`;
}

/** Whether who changes is an owner when the statement runs; an API key never is. */
export function isOwner(change: Pick<MemberChange, "accountId" | "byPersonId">): SQL {
  return sql`exists (select 1 from members as o where o.account_id = ${change.accountId}
    and o.person_id = ${change.byPersonId} and o.role = 'owner')`;
}

function hasOtherOwner({ accountId, personId }: MemberChange): SQL {
  return sql`exists (select 1 from members as o where o.account_id = ${accountId}
    and o.person_id <> ${personId} and o.role = 'owner')`;
}

function memberIs(key: Pick<StoredMember, "accountId" | "personId">): SQL | undefined {
  return and(eq(members.accountId, key.accountId), eq(members.personId, key.personId));
}
