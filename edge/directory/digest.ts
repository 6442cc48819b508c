import type { Price } from "../../shared/money.ts";
import { highestPrice } from "../../shared/money.ts";
import type { Ability } from "../../shared/openai/demands.ts";
import { classes, type Class, type Listing } from "../../shared/protocol/listing.ts";
import type { Region } from "../../shared/regions.ts";
import { freeSlotsOf, type Session } from "../hub/hub-state.ts";

/**
 * What a hub tells of itself: small enough to push every second, enough to choose a hub and to
 * price a hold.
 */
export interface HubDigest {
  readonly hubId: string;
  readonly region: Region;
  readonly atMs: number;
  readonly sessions: number;
  readonly sessionsMax: number;
  readonly models: readonly ModelDigest[];
}

/** One model name with one set of weights on one hub. */
export interface ModelDigest {
  readonly model: string;
  readonly digest: string;
  readonly architecture: string;
  readonly quantization: string;
  readonly parameterCount: number;
  readonly contextTokens: number;
  readonly workers: number;
  readonly slots: number;
  readonly freeSlots: number;
  readonly lowestPrice: Price;
  readonly highestPrice: Price;
  readonly classCeiling: Class;
  /** What at least one of its workers can do. */
  readonly abilities: readonly Ability[];
  /**
   * What each group of workers with the same abilities can do together: one worker has to fit, not
   * several.
   */
  readonly abilitySets: readonly (readonly Ability[])[];
}

interface Gathering {
  listing: Listing;
  workers: number;
  slots: number;
  freeSlots: number;
  lowest: Price;
  highest: Price;
  ceiling: number;
  contextTokens: number;
  readonly abilitySets: Map<string, readonly Ability[]>;
}

/** The digest of a hub's sessions. */
export function digestOf(
  hub: Pick<HubDigest, "hubId" | "region" | "atMs" | "sessionsMax">,
  sessions: Iterable<Session>,
): HubDigest {
  const gathered = new Map<string, Gathering>();
  let count = 0;
  for (const session of sessions) {
    count += 1;
    if (session.draining) continue;
    for (const listing of session.listings) gather(gathered, session, listing);
  }
  return { ...hub, sessions: count, models: [...gathered.values()].map(modelDigest) };
}

function gather(gathered: Map<string, Gathering>, session: Session, listing: Listing): void {
  const key = `${listing.model}\n${listing.digest}`;
  const price: Price = {
    inputMicrosPerMillion: listing.input_micros_per_million,
    outputMicrosPerMillion: listing.output_micros_per_million,
  };
  const known: Gathering = gathered.get(key) ?? {
    listing,
    workers: 0,
    slots: 0,
    freeSlots: 0,
    lowest: price,
    highest: price,
    ceiling: 0,
    contextTokens: 0,
    abilitySets: new Map(),
  };
  known.workers += 1;
  known.slots += listing.slots;
  known.freeSlots += freeSlotsOf(session, listing);
  known.lowest = total(price) < total(known.lowest) ? price : known.lowest;
  known.highest = highestPrice(price, known.highest);
  known.ceiling = Math.max(known.ceiling, classes.indexOf(listing.class_ceiling));
  known.contextTokens = Math.max(known.contextTokens, listing.context_tokens);
  const abilities = listing.abilities.toSorted() as Ability[];
  known.abilitySets.set(abilities.join(" "), abilities);
  gathered.set(key, known);
}

function total(price: Price): number {
  return price.inputMicrosPerMillion + price.outputMicrosPerMillion;
}

function modelDigest(model: Gathering): ModelDigest {
  const { listing } = model;
  const abilitySets = [...model.abilitySets.values()];
  return {
    model: listing.model,
    digest: listing.digest,
    architecture: listing.architecture,
    quantization: listing.quantization,
    parameterCount: listing.parameter_count,
    contextTokens: model.contextTokens,
    workers: model.workers,
    slots: model.slots,
    freeSlots: model.freeSlots,
    lowestPrice: model.lowest,
    highestPrice: model.highest,
    classCeiling: classes[model.ceiling] ?? "public",
    abilities: [...new Set(abilitySets.flat())],
    abilitySets,
  };
}
