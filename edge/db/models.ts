import { and, eq, sql } from "drizzle-orm";
import { z } from "zod";
import type { Database, Orm, Statement } from "./database.ts";
import type { Publication } from "./listings.ts";
import type { Page, PageRequest } from "./page.ts";
import { cursorTextField, decodeCursor, toPage } from "./page.ts";
import { selectRows } from "./rows.ts";
import { listings, models } from "./schema.ts";

export type Model = typeof models.$inferSelect;

/** A model some worker offers now, and on what terms. */
export interface OfferedModel {
  /** The name consumers ask for; two digests may go by one name. */
  readonly model: string;
  readonly digest: string;
  readonly workers: number;
  readonly slots: number;
  readonly contextTokens: number;
  readonly inputMicrosPerMillionMin: number;
  readonly outputMicrosPerMillionMin: number;
  readonly firstSeenAt: number;
}

/** Stores models by the digest of their weights. What the first worker said of one stays. */
export function insertModels(orm: Orm, published: readonly Publication[]): Statement {
  const rows = published.flatMap(({ worker, listings }) =>
    listings.map((listing) => ({
      digest: listing.digest,
      name: listing.model,
      architecture: listing.architecture,
      parameterCount: listing.parameter_count,
      quantization: listing.quantization,
      contextTokens: listing.context_tokens,
      firstSeenAt: worker.atMs,
    })),
  );
  return orm
    .insert(models)
    .select(selectRows(models, rows))
    .onConflictDoNothing({ target: models.digest });
}

export async function findModel(db: Database, digest: string): Promise<Model | null> {
  const rows = await db.read("find the model", (orm) =>
    orm.select().from(models).where(eq(models.digest, digest)),
  );
  return rows[0] ?? null;
}

const nameCursorSchema = z.tuple([cursorTextField, cursorTextField]);

/** The models that workers online offer, by name. */
export async function listOfferedModels(
  db: Database,
  query: PageRequest & { readonly model?: string | undefined },
): Promise<Page<OfferedModel>> {
  const after = decodeCursor(nameCursorSchema, query.cursor);
  const rows = await db.read("list the models", (orm) =>
    orm
      .select({
        model: listings.model,
        digest: listings.digest,
        workers: sql`count(*)`.mapWith(Number),
        slots: sql`sum(${listings.slots})`.mapWith(Number),
        contextTokens: sql`max(${listings.contextTokens})`.mapWith(Number),
        inputMicrosPerMillionMin: sql`min(${listings.inputMicrosPerMillion})`.mapWith(Number),
        outputMicrosPerMillionMin: sql`min(${listings.outputMicrosPerMillion})`.mapWith(Number),
        firstSeenAt: sql`min(${models.firstSeenAt})`.mapWith(Number),
      })
      .from(listings)
      .innerJoin(models, eq(models.digest, listings.digest))
      .where(
        and(
          eq(listings.online, true),
          query.model === undefined ? undefined : eq(listings.model, query.model),
          after === null
            ? undefined
            : sql`(${listings.model}, ${listings.digest}) > (${after[0]}, ${after[1]})`,
        ),
      )
      .groupBy(listings.model, listings.digest)
      .orderBy(listings.model, listings.digest)
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.model, row.digest]);
}
