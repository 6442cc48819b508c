import { OctoError } from "../../shared/errors.ts";
import { formatCredits, totalPrice } from "../../shared/money.ts";
import { isWithin } from "../../shared/openai/routing.ts";
import type { HubQuery } from "./placing/choose-hub.ts";
import type { Offer } from "./placing/named-offers.ts";

/** Which limit of a consumer's own leaves nobody of a model, and what there is instead; or null. */
export function beyondLimits(query: HubQuery, offers: readonly Offer[]): OctoError | null {
  const { regions, reputationMin } = query.routing;
  const refuse = (message: string) =>
    new OctoError("unsupported_parameter", message, { param: "octo" });
  if (regions !== null && !offers.some(({ hub }) => regions.includes(hub.region))) {
    const there = [...new Set(offers.map(({ hub }) => hub.region))].toSorted().join(", ");
    const asked = regions.join(", ");
    return refuse(`No worker with ${query.model} is in ${asked}; it is offered in ${there}`);
  }
  const best = Math.max(...offers.map(({ model }) => model.bestReputation));
  if (best < reputationMin) {
    return refuse(
      `No worker with ${query.model} has a reputation of ${reputationMin}; the best has ${best}`,
    );
  }
  if (offers.some(({ model }) => isWithin(model.lowestSides, query.priceMax))) return null;
  const [cheapest] = offers
    .map(({ model }) => model.lowestPrice)
    .toSorted((a, b) => totalPrice(a) - totalPrice(b));
  if (cheapest === undefined) return null;
  const [input, output] = [cheapest.inputMicrosPerMillion, cheapest.outputMicrosPerMillion].map(
    (micros) => formatCredits(BigInt(micros)),
  );
  return refuse(
    `No worker offers ${query.model} within octo.max_price; the cheapest asks ${input} credits ` +
      `for a million prompt tokens and ${output} for a million completion tokens`,
  );
}
