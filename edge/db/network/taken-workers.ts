import { and, eq, inArray } from "drizzle-orm";
import type { Database } from "../database.ts";
import { listings, workers } from "../schema/registry.ts";
import type { Worker } from "./workers.ts";

/** What the registry knows of a worker that has earned for the account that asks. */
export interface SeenWorker extends Worker {
  /** What it offers now, by name, each once. */
  readonly models: readonly string[];
}

/**
 * Those of these workers that the registry has as an account's own, by id. What a worker does for
 * another account is not this one's to see, whatever it has on its list.
 */
export async function findSeenWorkers(
  db: Database,
  of: { readonly accountId: string; readonly workerIds: readonly string[] },
): Promise<ReadonlyMap<string, SeenWorker>> {
  if (of.workerIds.length === 0) return new Map();
  const ids = [...of.workerIds];
  const isTheirs = and(eq(workers.accountId, of.accountId), inArray(workers.id, ids));
  const rows = await db.read("find the account's workers", (orm) =>
    orm.select().from(workers).where(isTheirs),
  );
  const offered = await db.read("find what the account's workers offer", (orm) =>
    orm
      .selectDistinct({ workerId: listings.workerId, model: listings.model })
      .from(listings)
      .innerJoin(workers, eq(workers.id, listings.workerId))
      .where(and(isTheirs, eq(workers.online, true), eq(listings.online, true)))
      .orderBy(listings.model),
  );
  const seen = new Map<string, SeenWorker>();
  for (const row of rows) {
    const models = offered.filter(({ workerId }) => workerId === row.id);
    seen.set(row.id, { ...row, models: models.map(({ model }) => model) });
  }
  return seen;
}
