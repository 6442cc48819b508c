import { and, eq, or } from "drizzle-orm";
import type { Database } from "../database.ts";
import { listings, workers } from "../schema/registry.ts";

/** More hubs than one fleet has, or could be asked. */
const hubsMax = 256;

/**
 * The hubs at which workers of an account list a model, as far as the registry knows: by its name,
 * or by its digest where there is one.
 */
export async function findOwnHubs(
  db: Database,
  of: { readonly accountId: string; readonly model: string; readonly digest: string | null },
): Promise<readonly string[]> {
  const { accountId, model, digest } = of;
  const isAsked = digest === null ? undefined : eq(listings.digest, digest);
  const rows = await db.read("find the hubs of own workers", (orm) =>
    orm
      .selectDistinct({ hub: workers.hub })
      .from(workers)
      .innerJoin(listings, eq(listings.workerId, workers.id))
      .where(
        and(
          eq(workers.accountId, accountId),
          eq(workers.online, true),
          eq(listings.online, true),
          or(eq(listings.model, model), isAsked),
        ),
      )
      .limit(hubsMax),
  );
  return rows.map(({ hub }) => hub);
}
