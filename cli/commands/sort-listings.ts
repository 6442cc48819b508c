import type { Listing } from "../http/answers.ts";

export const listingSorts = ["price", "speed", "first-token", "context", "success"] as const;
export type ListingSort = (typeof listingSorts)[number];

/** What counts, the less the better. What is not known comes last. */
const measures: Record<ListingSort, (listing: Listing) => number> = {
  price: (one) => one.input_micros_per_million + one.output_micros_per_million,
  speed: (one) => -(one.measured_decode_tokens_per_s ?? Number.NEGATIVE_INFINITY),
  "first-token": (one) => one.measured_first_token_ms ?? Number.POSITIVE_INFINITY,
  context: (one) => -one.context_tokens,
  success: (one) => -(one.measured_success_share ?? Number.NEGATIVE_INFINITY),
};

/** The listings in order; equals stay as the edge has them, the cheapest first. */
export function sortListings(listings: readonly Listing[], by: ListingSort): Listing[] {
  const measure = measures[by];
  return listings.toSorted((a, b) => {
    const [ofA, ofB] = [measure(a), measure(b)];
    // Two infinities differ by no number.
    return ofA === ofB ? 0 : ofA < ofB ? -1 : 1;
  });
}
