import { slotsMax } from "../../shared/protocol/limits.ts";
import type { Serving, SessionState } from "./session.ts";

/** How many slots the listed models have in all, as far as one worker may grant. */
export function listedSlots(state: SessionState, serving: Serving): number {
  const listed = new Set(serving.listed ?? []);
  const slots = state.settings.listings
    .filter((listing) => listed.has(listing.model))
    .reduce((sum, listing) => sum + listing.slots, 0);
  return Math.min(slots, slotsMax);
}

/**
 * The slots to grant now: those that neither an attempt holds nor the hub may already fill. Credits
 * out plus attempts that hold a slot thus never exceed the listed slots.
 */
export function slotsToGrant(state: SessionState, serving: Serving): number {
  if (state.drain !== null) return 0;
  const free = listedSlots(state, serving) - state.modelsByAttempt.size;
  return Math.max(0, free - serving.credits);
}
