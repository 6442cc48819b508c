import { z } from "zod";
import { listingSchema, type Listing, type ListingResult } from "../../shared/protocol/listing.ts";
import type { Session } from "./hub-state.ts";

/** A claim that is not listed: it is being probed, or failed and waits for another chance. */
const pendingListingSchema = z.object({
  listing: listingSchema,
  /** When it is to be probed. */
  dueMs: z.int(),
  failures: z.int(),
  /** Why it failed last; null where it has not been probed yet. */
  reason: z.string().nullable(),
});
export type PendingListing = z.infer<typeof pendingListingSchema>;

/** What became of the claims of a session's last publication, beside what is listed. */
export const vettingSchema = z.object({
  pending: z.array(pendingListingSchema),
  refused: z.array(z.object({ model: z.string(), reason: z.string() })),
  struck: z.array(z.object({ model: z.string(), ability: z.string(), reason: z.string() })),
});
export type Vetting = z.infer<typeof vettingSchema>;

export function emptyVetting(): Vetting {
  return { pending: [], refused: [], struck: [] };
}

/** A listing without the abilities that were struck. */
export function withoutStruck(
  listing: Listing,
  struck: readonly { readonly ability: string }[],
): Listing {
  const gone = new Set(struck.map(({ ability }) => ability));
  return { ...listing, abilities: listing.abilities.filter((ability) => !gone.has(ability)) };
}

/**
 * What a worker is told of its listings. Those that are being checked count as listed for it,
 * because it takes offers of listed models only; a claim that waits for another chance is refused.
 */
export function listingResult(session: Session, nowMs: number): ListingResult {
  const { pending, refused, struck } = session.vetting;
  const checking = pending.filter(({ dueMs }) => dueMs <= nowMs);
  const failed = pending.filter(({ dueMs }) => dueMs > nowMs);
  const models = checking.map(({ listing }) => listing.model);
  return {
    type: "listing.result",
    revision: session.revision,
    listed: [...session.listings.map(({ model }) => model), ...models],
    refused: [
      ...refused,
      ...failed.map(({ listing, reason }) => ({ model: listing.model, reason: reason ?? "" })),
    ],
    ...(models.length === 0 ? {} : { checking: models }),
    ...(struck.length === 0 ? {} : { struck }),
  };
}
