import { slotsMax } from "../../shared/protocol/limits.ts";
import type { Serving, SessionState } from "./session.ts";

/**
 * C1. Credits out plus attempts that hold a slot never exceed the listed slots.
 * C2. Grants leave at most at the bucket's pace; what waits is granted in one frame.
 */
export interface GrantBucket {
  readonly left: number;
  readonly atMs: number;
}

/**
 * A hub closes a worker that sends 50 control frames in a second. 15 at once and 25 a second after that are at most 40
 * in any second, which leaves room for pings and receipts and still returns a slot within 40 ms.
 */
const grantsAtOnce = 15;
const msPerGrant = 40;

export function fullBucket(nowMs: number): GrantBucket {
  return { left: grantsAtOnce, atMs: nowMs };
}

/** How many slots the listed models have in all, as far as one worker may grant. */
export function listedSlots(state: SessionState, serving: Serving): number {
  const listed = new Set(serving.listed ?? []);
  const slots = state.settings.listings
    .filter((listing) => listed.has(listing.model))
    .reduce((sum, listing) => sum + listing.slots, 0);
  return Math.min(slots, slotsMax);
}

export type Grant =
  | { readonly kind: "nothing" }
  | { readonly kind: "later"; readonly atMs: number }
  | { readonly kind: "now"; readonly slots: number; readonly bucket: GrantBucket };

/** What may be granted at `nowMs`. */
export function nextGrant(state: SessionState, serving: Serving, nowMs: number): Grant {
  if (state.drain !== null) return { kind: "nothing" };
  const slots = listedSlots(state, serving) - state.modelsByAttempt.size - serving.credits;
  if (slots <= 0) return { kind: "nothing" };
  const refilled = Math.floor((nowMs - serving.bucket.atMs) / msPerGrant);
  const left = Math.min(grantsAtOnce, serving.bucket.left + refilled);
  const atMs = left === grantsAtOnce ? nowMs : serving.bucket.atMs + refilled * msPerGrant;
  if (left === 0) return { kind: "later", atMs: atMs + msPerGrant };
  return { kind: "now", slots, bucket: { left: left - 1, atMs } };
}
