import { and, eq, sql } from "drizzle-orm";
import type { Database } from "../database.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import type { accountStatuses } from "../schema/registry.ts";
import { selectRows } from "../rows.ts";
import { accounts } from "../schema/registry.ts";
import { members } from "../schema/people.ts";
import { beforeInTime, newestFirst } from "../order.ts";

export type Account = typeof accounts.$inferSelect;
export type AccountStatus = (typeof accountStatuses)[number];

/** Stores a new account. Throws `conflict` where its id is taken. */
export async function createAccount(db: Database, account: Account): Promise<void> {
  await db.write("create the account", (orm) => [orm.insert(accounts).values(account)]);
}

/** A person may open this many: enough for what is kept apart, too few to fill the registry. */
export const ownAccountsMax = 10;

/** Stores an account with a person as its owner; false where they own as many as they may. */
export async function createOwnAccount(
  db: Database,
  account: Account,
  personId: string,
): Promise<boolean> {
  const { id: accountId, createdAt } = account;
  const owner = { accountId, personId, role: "owner", createdAt } as const;
  const [created] = await db.write("create the account", (orm) => [
    orm.insert(accounts).select(
      sql`${selectRows(accounts, [account])} and (select count(*) from members as m
        where m.person_id = ${personId} and m.role = 'owner') < ${ownAccountsMax}`,
    ),
    orm.insert(members).select(
      sql`${selectRows(members, [owner])} and exists (select 1 from accounts as a
        where a.id = ${accountId})`,
    ),
  ]);
  return created === 1;
}

export async function findAccount(db: Database, id: string): Promise<Account | null> {
  const rows = await db.read("find the account", (orm) =>
    orm.select().from(accounts).where(eq(accounts.id, id)),
  );
  return rows[0] ?? null;
}

/** All accounts, newest first: for operators only. */
export async function listAccounts(
  db: Database,
  query: PageRequest & { readonly kind?: Account["kind"] | undefined },
): Promise<Page<Account>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: accounts.createdAt, id: accounts.id };
  const rows = await db.read("list the accounts", (orm) =>
    orm
      .select()
      .from(accounts)
      .where(
        and(
          query.kind === undefined ? undefined : eq(accounts.kind, query.kind),
          beforeInTime(order, after),
        ),
      )
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}

/** Changes what is given and leaves the rest; false where there is no such account. */
export async function changeAccount(
  db: Database,
  id: string,
  change: {
    readonly name?: string | undefined;
    readonly status?: AccountStatus | undefined;
    readonly concurrencyMax?: number | undefined;
    readonly routing?: unknown;
    readonly limits?: unknown;
  },
): Promise<boolean> {
  const [changed] = await db.write("change the account", (orm) => [
    orm.update(accounts).set(change).where(eq(accounts.id, id)),
  ]);
  return changed === 1;
}

/**
 * Makes sure that the accounts workers earn for are in the registry; known ones stay as they are.
 */
export async function ensureProviderAccounts(
  db: Database,
  ids: readonly string[],
  nowMs: number,
): Promise<void> {
  if (ids.length === 0) return;
  const rows: Account[] = [...new Set(ids)].map((id) => ({
    id,
    kind: "provider",
    name: "",
    status: "active",
    concurrencyMax: 0,
    createdAt: nowMs,
    routing: null,
    limits: null,
  }));
  await db.write("record provider accounts", (orm) => [
    orm.insert(accounts).select(selectRows(accounts, rows)).onConflictDoNothing(),
  ]);
}
