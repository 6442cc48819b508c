import { and, eq, getTableColumns, type SQL, sql } from "drizzle-orm";
import type { Account } from "./accounts.ts";
import type { Database, Orm, Statement } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { selectRows } from "../rows.ts";
import { accounts, apiKeys } from "../schema/registry.ts";

export type StoredApiKey = typeof apiKeys.$inferSelect;
/** A key as its owner may see it: never the hash of its secret. */
export type ApiKeySummary = Omit<StoredApiKey, "secretHash">;
/** What authentication needs of a key and of the account behind it. */
export type KeyWithAccount = Pick<
  StoredApiKey,
  | "id"
  | "accountId"
  | "scopes"
  | "teamId"
  | "projectId"
  | "models"
  | "addresses"
  | "lastUsedAt"
  | "env"
  | "secretHash"
  | "revokedAt"
  | "expiresAt"
> & {
  readonly accountKind: Account["kind"];
  readonly accountStatus: Account["status"];
  readonly concurrencyMax: number;
  readonly routing: unknown;
};

const { secretHash: _, ...summaryColumns } = getTableColumns(apiKeys);

export type NewApiKey = Omit<StoredApiKey, "revokedAt">;
/** What of a key may change in its life. */
export type ApiKeyChange = Partial<
  Pick<
    StoredApiKey,
    "name" | "models" | "addresses" | "limits" | "expiresAt" | "teamId" | "projectId"
  >
>;

/** A team's keys that may still be used are at most so many, counted where they are written. */
export const teamKeysMax = 100;

/**
 * Stores a new key; false where its team has as many as it may. Throws `conflict` where its id is
 * taken or its account is unknown.
 */
export async function createApiKey(db: Database, key: NewApiKey): Promise<boolean> {
  const [added] = await db.write("create the key", (orm) => [insertKey(orm, key)]);
  return added === 1;
}

/**
 * Stores the key that replaces another of its account, and ends that one at `endsMs` unless it ends
 * before; in one transaction. False where its team is full, or the other was revoked meanwhile:
 * nobody gets rid of that by a successor.
 */
export async function replaceApiKey(
  db: Database,
  key: NewApiKey & { readonly replaces: string },
  endsMs: number,
): Promise<boolean> {
  const ends = sql.param(endsMs, apiKeys.expiresAt);
  const [added] = await db.write("replace the key", (orm) => [
    insertKey(orm, key, key.replaces),
    orm
      .update(apiKeys)
      .set({ expiresAt: sql`min(coalesce(${apiKeys.expiresAt}, ${ends}), ${ends})` })
      .where(
        and(
          eq(apiKeys.id, key.replaces),
          eq(apiKeys.accountId, key.accountId),
          sql`exists (select 1 from ${apiKeys} as fresh where fresh.id = ${key.id})`,
        ),
      ),
  ]);
  return added === 1;
}

/** The key that is replaced is not counted: it ends. */
function insertKey(orm: Orm, key: NewApiKey, replaced: string | null = null): Statement {
  return orm.insert(apiKeys).select(
    sql`${selectRows(apiKeys, [{ ...key, revokedAt: null }])} and ${hasRoom(key, replaced)}
        and not exists (select 1 from ${apiKeys} as old where old.id = ${replaced}
          and old.revoked_at is not null)`,
  );
}

/** Whether the team takes one key more, `except` not counted. */
function hasRoom(
  { teamId, createdAt: nowMs }: { readonly teamId: string | null; readonly createdAt: number },
  except: string | null,
): SQL {
  if (teamId === null) return sql`true`;
  const others = sql`(select count(*) from ${apiKeys} as other where other.team_id = ${teamId}
    and other.revoked_at is null and other.id is not ${except}
    and (other.expires_at is null or other.expires_at > ${sql.param(nowMs, apiKeys.expiresAt)}))`;
  return sql`${others} < ${sql.raw(String(teamKeysMax))}`;
}

/** One of an account's keys; null where the account has none such. */
export async function readApiKey(
  db: Database,
  key: { readonly accountId: string; readonly id: string },
): Promise<ApiKeySummary | null> {
  const rows = await db.read("read the key", (orm) =>
    orm
      .select(summaryColumns)
      .from(apiKeys)
      .where(and(eq(apiKeys.id, key.id), eq(apiKeys.accountId, key.accountId))),
  );
  return rows[0] ?? null;
}

/** Changes what is given and leaves the rest; false where a new team has no room for it. */
export async function changeApiKey(
  db: Database,
  key: { readonly accountId: string; readonly id: string; readonly atMs: number },
  change: ApiKeyChange,
): Promise<boolean> {
  const room = hasRoom({ teamId: change.teamId ?? null, createdAt: key.atMs }, key.id);
  const [changed] = await db.write("change the key", (orm) => [
    orm
      .update(apiKeys)
      .set(change)
      .where(and(eq(apiKeys.id, key.id), eq(apiKeys.accountId, key.accountId), room)),
  ]);
  return changed === 1;
}

/** When keys of an account were last used; an earlier time than is known changes nothing. */
export async function recordKeyUses(
  db: Database,
  accountId: string,
  uses: ReadonlyMap<string, number>,
): Promise<void> {
  const json = JSON.stringify(Object.fromEntries(uses));
  const used = sql`(select value from json_each(${json}) where json_each.key = ${apiKeys.id})`;
  await db.write("record the uses of keys", (orm) => [
    orm
      .update(apiKeys)
      .set({ lastUsedAt: sql`max(coalesce(${apiKeys.lastUsedAt}, 0), ${used})` })
      .where(and(eq(apiKeys.accountId, accountId), sql`${used} is not null`)),
  ]);
}

/** The key with this id and its account, revoked and expired ones too: the caller decides. */
export async function findApiKey(db: Database, id: string): Promise<KeyWithAccount | null> {
  const rows = await db.read("find the key", (orm) =>
    orm
      .select({
        id: apiKeys.id,
        accountId: apiKeys.accountId,
        scopes: apiKeys.scopes,
        teamId: apiKeys.teamId,
        projectId: apiKeys.projectId,
        models: apiKeys.models,
        addresses: apiKeys.addresses,
        lastUsedAt: apiKeys.lastUsedAt,
        env: apiKeys.env,
        secretHash: apiKeys.secretHash,
        revokedAt: apiKeys.revokedAt,
        expiresAt: apiKeys.expiresAt,
        accountKind: accounts.kind,
        accountStatus: accounts.status,
        concurrencyMax: accounts.concurrencyMax,
        routing: accounts.routing,
      })
      .from(apiKeys)
      .innerJoin(accounts, eq(accounts.id, apiKeys.accountId))
      .where(eq(apiKeys.id, id)),
  );
  return rows[0] ?? null;
}

/**
 * Revokes an account's key; false where the account has no such key. The first revocation's time
 * stays.
 */
export async function revokeApiKey(
  db: Database,
  key: { readonly accountId: string; readonly id: string; readonly atMs: number },
): Promise<boolean> {
  const at = sql.param(key.atMs, apiKeys.revokedAt);
  const [changed] = await db.write("revoke the key", (orm) => [
    orm
      .update(apiKeys)
      .set({ revokedAt: sql`coalesce(${apiKeys.revokedAt}, ${at})` })
      .where(and(eq(apiKeys.id, key.id), eq(apiKeys.accountId, key.accountId))),
  ]);
  return changed === 1;
}

/** The keys of an account, or of one of its teams, newest first. */
export async function listApiKeys(
  db: Database,
  query: PageRequest & { readonly accountId: string; readonly teamId?: string | undefined },
): Promise<Page<ApiKeySummary>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: apiKeys.createdAt, id: apiKeys.id };
  const rows = await db.read("list the keys", (orm) =>
    orm
      .select(summaryColumns)
      .from(apiKeys)
      .where(
        and(
          eq(apiKeys.accountId, query.accountId),
          query.teamId === undefined ? undefined : eq(apiKeys.teamId, query.teamId),
          beforeInTime(order, after),
        ),
      )
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}
