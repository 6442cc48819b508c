import { OctoError } from "../../../shared/errors.ts";
import { highestPrice, type Price } from "../../../shared/money.ts";
import type { Demands } from "../../../shared/openai/demands.ts";
import { type WeightDemands, weightFault } from "../../../shared/openai/octo-options.ts";
import { atMost, isWithin, type PriceMax, type Routing } from "../../../shared/openai/routing.ts";
import type { TaskKind } from "../../../shared/openai/task-kinds.ts";
import { classes, type Class } from "../../../shared/protocol/listing.ts";
import type { Region } from "../../../shared/regions.ts";
import type { HubDigest, ModelDigest } from "../../directory/digest.ts";
import {
  type AbilitySet,
  type DemandedAbilities,
  demandedAbilities,
  isAble,
} from "../../hub/routing/ability-sets.ts";
import type { Scoreboard } from "../../hub/routing/scoreboard.ts";
import { boardOf, namedOffers, type Offer } from "./named-offers.ts";
import { whyNone } from "./why-none.ts";

/** A request as far as choosing a hub goes. */
export interface HubQuery {
  readonly kind: TaskKind;
  readonly model: string;
  readonly demands: Demands;
  readonly class: Class;
  readonly weights: WeightDemands;
  readonly routing: Routing;
  readonly priceMax: PriceMax;
  /** Where the consumer is. */
  readonly region: Region;
  /** The hubs that may be asked, where that is known beforehand; null for all. */
  readonly hubIds: readonly string[] | null;
}

export interface HubChoice {
  /** In the order in which they should be asked. */
  readonly hubIds: readonly string[];
  /** What a hold must cover whichever of them serves. */
  readonly price: Price;
  readonly contextTokens: number;
  /** One of them has a slot free, as far as is known. */
  readonly isFree: boolean;
}

/** A hub that cannot serve says so at once; asking more than three costs more than it finds. */
const hubsMax = 3;

/**
 * The hubs that can serve, best first by the strategy of the task; throws what the consumer should
 * know where none can. `random` gives numbers in [0, 1).
 */
export function chooseHub(
  query: HubQuery,
  digests: readonly HubDigest[],
  random: () => number,
): HubChoice {
  const named = namedOffers(query.model, digests);
  const { offers } = named;
  const board = boardOf(named, query);
  if (!leaveFitting(query, offers, board)) throw whyNotHere(query, digests, offers);
  board.score(query.routing.weights);
  const hubIds: string[] = [];
  const served: ModelDigest[] = [];
  while (hubIds.length < hubsMax) {
    const drawn = board.draw(query.routing, random, { isNext: hubIds.length > 0 });
    if (drawn === null) break;
    hubIds.push((offers[drawn.at] as Offer).hub.hubId);
    for (const at of board.take(drawn.at)) served.push((offers[at] as Offer).model);
  }
  const highest = served.map((model) => model.highestPrice).reduce(highestPrice);
  return {
    isFree: served.some(({ freeSlots }) => freeSlots > 0),
    hubIds,
    price: atMost(highest, query.priceMax),
    contextTokens: Math.max(...served.map((model) => model.contextTokens)),
  };
}

/** Why no hub can serve; where only some may be asked, why none of those. */
function whyNotHere(
  query: HubQuery,
  digests: readonly HubDigest[],
  offers: readonly Offer[],
): OctoError {
  const { hubIds, model } = query;
  if (hubIds === null) return whyNone(query, digests, offers);
  const there = offers.filter(({ hub }) => hubIds.includes(hub.hubId));
  if (there.length > 0) return whyNone(query, digests, there);
  return new OctoError("no_capacity", `No worker of your own offers ${model} just now`);
}

/**
 * Leaves those on the board that pass the hard filters, as far as a digest tells; a hub knows its
 * workers exactly. Gives whether there are any.
 */
function leaveFitting(query: HubQuery, offers: readonly Offer[], board: Scoreboard): boolean {
  const demanded = demandedAbilities(query.demands.fieldByAbility.keys());
  const classRank = classes.indexOf(query.class);
  let isAny = false;
  for (let at = 0; at < offers.length; at++) {
    const offer = offers[at] as Offer;
    const isFitting =
      offer.classRank >= classRank &&
      isAbleAtAll(offer.abilitySets, demanded) &&
      isWithinLimits(query, offer);
    if (isFitting) isAny = true;
    else board.leaveOut(at);
  }
  return isAny;
}

/** One worker has to be able to do it all. */
function isAbleAtAll(sets: readonly AbilitySet[], demanded: DemandedAbilities): boolean {
  for (const set of sets) if (isAble(set, demanded)) return true;
  return false;
}

/** Whether an offer is within the consumer's own limits. */
function isWithinLimits(query: HubQuery, { hub, model }: Offer): boolean {
  const { routing, priceMax, weights, hubIds } = query;
  const { regions, reputationMin } = routing;
  return (
    (hubIds === null || hubIds.includes(hub.hubId)) &&
    (regions === null || regions.includes(hub.region)) &&
    model.bestReputation >= reputationMin &&
    isWithin(model.lowestSides, priceMax) &&
    weightFault(weights, model) === null
  );
}
