import { highestPrice, type Price } from "../../shared/money.ts";
import type { Ability, Demands } from "../../shared/openai/demands.ts";
import { type WeightDemands, weightFault } from "../../shared/openai/octo-options.ts";
import { atMost, isWithin, type PriceMax, type Routing } from "../../shared/openai/routing.ts";
import type { TaskKind } from "../../shared/openai/task-kinds.ts";
import { classes, type Class } from "../../shared/protocol/listing.ts";
import { distanceKm, type Region } from "../../shared/regions.ts";
import type { HubDigest, ModelDigest } from "../directory/digest.ts";
import { type Measures, Scoreboard, secrecyOf } from "../hub/strategies.ts";
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

/** One choice at a time: nothing waits inside, so the board is nobody else's meanwhile. */
const board = new Scoreboard();

/** A model as one hub has it. */
export interface Offer {
  readonly hub: HubDigest;
  readonly model: ModelDigest;
  readonly measures: Measures;
  readonly freeShare: number;
}

/**
 * The hubs that can serve, best first by the strategy of the task; throws what the consumer should
 * know where none can. `random` gives numbers in [0, 1).
 */
export function chooseHub(
  query: HubQuery,
  digests: readonly HubDigest[],
  random: () => number,
): HubChoice {
  const abilities = [...query.demands.fieldByAbility.keys()];
  const named = namedOffers(query.model, digests);
  const offers: Offer[] = [];
  let region: Region | null = null;
  let km = 0;
  board.clear(query.kind);
  for (const offer of named) {
    if (!isFitting(query, abilities, offer)) continue;
    offers.push(offer);
    if (offer.hub.region !== region) {
      ({ region } = offer.hub);
      km = distanceKm(query.region, region);
    }
    board.add(offer.measures, { freeShare: offer.freeShare, km });
  }
  if (offers.length === 0) throw whyNone(query, digests, named);
  board.score(query.routing.weights);
  const hubIds: string[] = [];
  while (hubIds.length < hubsMax) {
    const drawn = board.draw(query.routing, random, { isNext: hubIds.length > 0 });
    if (drawn === null) break;
    hubIds.push((offers[drawn.at] as Offer).hub.hubId);
    board.take(drawn.at);
  }
  const served = offers.filter(({ hub }) => hubIds.includes(hub.hubId)).map(({ model }) => model);
  const highest = served.map((model) => model.highestPrice).reduce(highestPrice);
  return {
    isFree: served.some(({ freeSlots }) => freeSlots > 0),
    hubIds,
    price: atMost(highest, query.priceMax),
    contextTokens: Math.max(...served.map((model) => model.contextTokens)),
  };
}

const digestPrefix = "sha256:";

/** Whether a digest is of the model asked for, by name or as `sha256:…`. */
export function isNamed(model: ModelDigest, name: string): boolean {
  if (model.model === name) return true;
  return name.startsWith(digestPrefix) && name.slice(digestPrefix.length) === model.digest;
}

/** Of each view (network-view.ts keeps one for a second or more), what was found by name. */
const offersByView = new WeakMap<readonly HubDigest[], Map<string, readonly Offer[]>>();

/** All offers of a model: finding them among thousands takes longer than choosing one. */
function namedOffers(name: string, digests: readonly HubDigest[]): readonly Offer[] {
  const offersByName = offersByView.get(digests) ?? new Map<string, readonly Offer[]>();
  const known = offersByName.get(name);
  if (known !== undefined) return known;
  const offers: Offer[] = [];
  for (const hub of digests) {
    for (const model of hub.models) if (isNamed(model, name)) offers.push(offerOf(hub, model));
  }
  // What nobody offers is not kept: anyone can ask for any number of names.
  if (offers.length > 0) offersByView.set(digests, offersByName.set(name, offers));
  return offers;
}

/** The hard filters, as far as a digest tells; a hub knows its workers exactly. */
function isFitting(query: HubQuery, abilities: readonly Ability[], { hub, model }: Offer): boolean {
  const { regions, reputationMin } = query.routing;
  return (
    classes.indexOf(model.classCeiling) >= classes.indexOf(query.class) &&
    (regions === null || regions.includes(hub.region)) &&
    model.bestReputation >= reputationMin &&
    isWithin(model.lowestSides, query.priceMax) &&
    weightFault(query.weights, model) === null &&
    isAble(model, abilities)
  );
}

function isAble(model: ModelDigest, abilities: readonly Ability[]): boolean {
  for (const set of model.abilitySets) if (hasAll(set, abilities)) return true;
  return false;
}

function hasAll(set: readonly Ability[], abilities: readonly Ability[]): boolean {
  for (const ability of abilities) if (!set.includes(ability)) return false;
  return true;
}

function offerOf(hub: HubDigest, model: ModelDigest): Offer {
  const { measured } = model;
  const isFailing = measured !== null && measured.firstTokenMs === null;
  const measures: Measures = {
    ...model.lowestPrice,
    firstTokenMs: model.lowestFirstTokenMs,
    tokensPerS: measured?.decodeTokensPerS ?? null,
    reputation: model.bestReputation,
    roundTripMs: model.roundTripMs,
    successShare: measured?.successShare ?? null,
    bitsPerWeight: model.bitsPerWeight,
    secrecy: secrecyOf(model.classCeiling, model.identity),
    isMeasured: measured !== null,
    // A hub that is full may have a slot by the time it is asked; one that fails will not change.
    tier: (model.freeSlots > 0 ? 0 : 1) + (isFailing ? 2 : 0),
    id: hub.hubId,
  };
  const freeShare = model.slots === 0 ? 0 : Math.min(1, model.freeSlots / model.slots);
  return { hub, model, measures, freeShare };
}
