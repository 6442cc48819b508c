import type { Listing } from "../../../shared/protocol/listing.ts";
import type { Session } from "../hub-state.ts";
import { type Claim, withoutStruck } from "./vetting.ts";
import { rememberVerdict, type Verdict } from "../sessions/worker-memory.ts";

/** Lists a claim, without what was struck of it, in place of what was listed of that model. */
export function listClaim(
  session: Session,
  listing: Listing,
  struck: readonly { readonly ability: string; readonly reason: string }[],
): void {
  unlistClaim(session, listing.model);
  session.listings = [...session.listings, withoutStruck(listing, struck)];
  for (const one of struck) session.vetting.struck.push({ model: listing.model, ...one });
}

export function unlistClaim(session: Session, model: string): void {
  const { vetting } = session;
  session.listings = session.listings.filter((listing) => listing.model !== model);
  vetting.struck = vetting.struck.filter((one) => one.model !== model);
}

/** Notes what has been shown of a claim, with the claim and beyond it. */
export function keepVerdict(
  session: Session,
  { claim, wholeMs }: { readonly claim: Claim; readonly wholeMs: number },
  shown: Pick<Verdict, "struck" | "refused" | "dueMs">,
): void {
  claim.failures = shown.refused === null && shown.struck.length === 0 ? 0 : claim.failures + 1;
  claim.reason = shown.refused;
  claim.dueMs = shown.dueMs;
  const { failures, key } = claim;
  rememberVerdict(session.memory, { ...shown, key, atMs: wholeMs, failures });
}
