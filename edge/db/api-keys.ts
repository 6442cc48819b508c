import { and, eq, getTableColumns, sql } from "drizzle-orm";
import type { Account } from "./accounts.ts";
import type { Database } from "./database.ts";
import { beforeInTime, newestFirst } from "./order.ts";
import type { Page, PageRequest } from "./page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "./page.ts";
import { accounts, apiKeys } from "./schema.ts";

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

/** Stores a new key. Throws `conflict` where its id is taken or its account is unknown. */
export async function createApiKey(
  db: Database,
  key: Omit<StoredApiKey, "revokedAt">,
): Promise<void> {
  await db.write("create the key", (orm) => [orm.insert(apiKeys).values(key)]);
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

/** The keys of an account, newest first. */
export async function listApiKeys(
  db: Database,
  query: PageRequest & { readonly accountId: string },
): Promise<Page<ApiKeySummary>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: apiKeys.createdAt, id: apiKeys.id };
  const rows = await db.read("list the keys", (orm) =>
    orm
      .select(summaryColumns)
      .from(apiKeys)
      .where(and(eq(apiKeys.accountId, query.accountId), beforeInTime(order, after)))
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}
