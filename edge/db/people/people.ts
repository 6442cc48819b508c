import { and, asc, eq, lt, notExists, sql } from "drizzle-orm";
import type { Database } from "../database.ts";
import { accounts } from "../schema/registry.ts";
import { members, people, signIns } from "../schema/people.ts";

export type Person = typeof people.$inferSelect;

/** An account that a person acts for. */
export interface Membership {
  readonly accountId: string;
  readonly name: string;
  readonly status: (typeof accounts.$inferSelect)["status"];
  readonly role: (typeof members.$inferSelect)["role"];
}

/** A person may be in more; these are those they were first in. */
const membershipsMax = 100;

/** A clock of another edge may be this far behind when a challenge has expired for us. */
const skewMs = 10 * 60_000;

/** Somebody who is in no account and stays away this long is forgotten. */
const strangerMs = 30 * 86_400_000;

/**
 * Notes that a challenge was answered; false where it was before. A key that was never seen becomes
 * a person.
 */
export async function recordSignIn(
  db: Database,
  signIn: {
    readonly nonce: string;
    readonly personId: string;
    readonly expiresMs: number;
    readonly nowMs: number;
  },
): Promise<boolean> {
  const { nonce, personId, expiresMs: expiresAt, nowMs } = signIn;
  const [, answered] = await db.write("sign in", (orm) => [
    orm.delete(signIns).where(lt(signIns.expiresAt, nowMs - skewMs)),
    orm.insert(signIns).values({ nonce, personId, expiresAt }).onConflictDoNothing(),
    orm
      .insert(people)
      .values({ id: personId, name: "", createdAt: nowMs, lastSeenAt: nowMs })
      .onConflictDoUpdate({
        target: people.id,
        set: { lastSeenAt: sql`max(${people.lastSeenAt}, excluded.last_seen_at)` },
      }),
  ]);
  return answered === 1;
}

export async function findPerson(db: Database, id: string): Promise<Person | null> {
  const rows = await db.read("find the person", (orm) =>
    orm.select().from(people).where(eq(people.id, id)),
  );
  return rows[0] ?? null;
}

export async function renamePerson(db: Database, id: string, name: string): Promise<void> {
  await db.write("rename the person", (orm) => [
    orm.update(people).set({ name }).where(eq(people.id, id)),
  ]);
}

/**
 * The accounts a person is a member of, the first they were in first; or one of them, which may be
 * beyond those that are listed.
 */
export async function listMemberships(
  db: Database,
  personId: string,
  accountId?: string,
): Promise<readonly Membership[]> {
  return db.read("list the memberships", (orm) =>
    orm
      .select({
        accountId: members.accountId,
        name: accounts.name,
        status: accounts.status,
        role: members.role,
      })
      .from(members)
      .innerJoin(accounts, eq(accounts.id, members.accountId))
      .where(
        and(
          eq(members.personId, personId),
          accountId === undefined ? undefined : eq(members.accountId, accountId),
        ),
      )
      .orderBy(asc(members.createdAt), asc(members.accountId))
      .limit(membershipsMax),
  );
}

/** Forgets people who came once and are in no account; gives how many. */
export async function forgetStrangers(db: Database, nowMs: number): Promise<number> {
  const [forgotten] = await db.write("forget strangers", (orm) => [
    orm.delete(people).where(
      and(
        lt(people.lastSeenAt, nowMs - strangerMs),
        notExists(
          orm
            .select({ one: sql`1` })
            .from(members)
            .where(eq(members.personId, people.id)),
        ),
      ),
    ),
  ]);
  return forgotten ?? 0;
}
