import { z } from "zod";
import {
  listingSchema,
  type Listing,
  type ListingResult,
} from "../../../shared/protocol/listing.ts";
import type { Session } from "../hub-state.ts";

/** What a worker says it offers, whether or not it is listed. */
const claimSchema = z.object({
  /** As it was claimed, with abilities that may be struck. */
  listing: listingSchema,
  /** What its verdict is kept under. */
  key: z.string(),
  /** When it is to be probed, again where it was before. */
  dueMs: z.int(),
  /** How often in a row something of it was not there. */
  failures: z.int(),
  /** Why nothing of it is listed; null where it is, and where it has not been probed yet. */
  reason: z.string().nullable(),
});
export type Claim = z.infer<typeof claimSchema>;

/** What became of the claims of a session's last publication, beside what is listed. */
export const vettingSchema = z.object({
  claims: z.array(claimSchema),
  refused: z.array(z.object({ model: z.string(), reason: z.string() })),
  struck: z.array(z.object({ model: z.string(), ability: z.string(), reason: z.string() })),
});
export type Vetting = z.infer<typeof vettingSchema>;

export function emptyVetting(): Vetting {
  return { claims: [], refused: [], struck: [] };
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
 * What a worker is told of its listings. Those that are being checked for the first time count as
 * listed for it, because it takes offers of listed models only; a claim that waits for another
 * chance is refused. Of probes of what is listed it is told nothing.
 */
export function listingResult(session: Session, nowMs: number): ListingResult {
  const { claims, refused, struck } = session.vetting;
  const listed = session.listings.map(({ model }) => model);
  const isListed = new Set(listed);
  const others = claims.filter(({ listing }) => !isListed.has(listing.model));
  const checking = others.filter(({ dueMs }) => dueMs <= nowMs);
  const failed = others.filter(({ dueMs }) => dueMs > nowMs);
  const models = checking.map(({ listing }) => listing.model);
  return {
    type: "listing.result",
    revision: session.revision,
    listed: [...listed, ...models],
    refused: [
      ...refused,
      ...failed.map(({ listing, reason }) => ({ model: listing.model, reason: reason ?? "" })),
    ],
    ...(models.length === 0 ? {} : { checking: models }),
    ...(struck.length === 0 ? {} : { struck }),
  };
}
