import type { Orm, Statement } from "../database.ts";
import type { Publication } from "./listings.ts";
import { selectRows } from "../rows.ts";
import { models } from "../schema/registry.ts";

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
