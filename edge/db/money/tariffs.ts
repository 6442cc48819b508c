import { desc, eq, lt, sql } from "drizzle-orm";
import { z } from "zod";
import { type Tariff, tariffSchema } from "../../../shared/tariff.ts";
import type { Database } from "../database.ts";
import { decodeCursor, type Page, type PageRequest, toPage } from "../page.ts";
import { selectRows } from "../rows.ts";
import { tariffs } from "../schema/money.ts";

/** A tariff as it is stored: what its hash is of, byte for byte. */
export type StoredTariff = typeof tariffs.$inferSelect;

/**
 * Stores a tariff, never to be changed; false where its version is not over all there are. Two at
 * the same time come one after the other.
 */
export async function addTariff(db: Database, row: StoredTariff): Promise<boolean> {
  const isNewest = sql`not exists (
    select 1 from ${tariffs} where ${tariffs.version} >= ${row.version})`;
  const [added] = await db.write("add the tariff", (orm) => [
    orm.insert(tariffs).select(sql`${selectRows(tariffs, [row])} and ${isNewest}`),
  ]);
  return added === 1;
}

export async function findTariff(db: Database, hash: string): Promise<StoredTariff | null> {
  const rows = await db.read("find the tariff", (orm) =>
    orm.select().from(tariffs).where(eq(tariffs.hash, hash)),
  );
  return rows[0] ?? null;
}

/** All tariffs there ever were, the highest version first. */
export async function listTariffs(db: Database, query: PageRequest): Promise<Page<StoredTariff>> {
  const [below] = decodeCursor(z.tuple([z.int().min(0)]), query.cursor) ?? [];
  const rows = await db.read("list the tariffs", (orm) =>
    orm
      .select()
      .from(tariffs)
      .where(below === undefined ? undefined : lt(tariffs.version, below))
      .orderBy(desc(tariffs.version))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.version]);
}

/** What counts now, if any tariff does, and whatever will from some time on, however many. */
export async function tariffsFrom(db: Database, nowMs: number): Promise<readonly Tariff[]> {
  const from = sql`json_extract(${tariffs.body}, '$.effective_from')`;
  const now = sql.param(nowMs, tariffs.createdAt);
  const rows = await db.read("read the tariffs", (orm) =>
    orm
      .select()
      .from(tariffs)
      .where(
        sql`${tariffs.version} >= coalesce(
          (select max(${tariffs.version}) from ${tariffs} where ${from} <= ${now}), 0)`,
      )
      .orderBy(desc(tariffs.version)),
  );
  return rows.map(readTariff);
}

/** Throws where the row is not what was stored: a person with the database in hand did that. */
export function readTariff({ hash, body }: StoredTariff): Tariff {
  return { hash, body: tariffSchema.parse(JSON.parse(body)) };
}
