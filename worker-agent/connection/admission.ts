import type { TaskOffer } from "../../shared/protocol/task.ts";
import type { refuseReasons } from "../../shared/protocol/task.ts";
import type { Serving, SessionState } from "./session.ts";

export type RefuseReason = (typeof refuseReasons)[number];

/** Why an offer cannot be taken, or null where it can. Its body is judged by the attempt itself. */
export function refusalOf(
  state: SessionState,
  serving: Serving,
  offer: TaskOffer,
): RefuseReason | null {
  if (state.drain !== null) return "draining";
  const listing = state.listings.find((candidate) => candidate.model === offer.model);
  const isListed = serving.listed?.includes(offer.model) ?? false;
  if (listing === undefined || !isListed || listing.digest !== offer.digest) return "unknown_model";
  const isPriceListed =
    offer.input_micros_per_million === listing.input_micros_per_million &&
    offer.output_micros_per_million === listing.output_micros_per_million;
  if (!isPriceListed) return "price_changed";
  // An offer without a credit is a hub's mistake; taking it would run more than the listed slots.
  if (serving.credits === 0) return "busy";
  let running = 0;
  for (const model of state.modelsByAttempt.values()) running += model === offer.model ? 1 : 0;
  return running >= listing.slots ? "busy" : null;
}
