import type { Price } from "../../shared/money.ts";
import { highestPrice, totalPrice } from "../../shared/money.ts";
import type { Ability } from "../../shared/openai/demands.ts";
import { atMost } from "../../shared/openai/routing.ts";
import {
  classes,
  type Class,
  type DeclaredSpeed,
  type Listing,
} from "../../shared/protocol/listing.ts";
import type { Region } from "../../shared/regions.ts";
import { freeSlotsOf, type Session } from "../hub/hub-state.ts";
import { reputationOf } from "../hub/routing/reputation.ts";
import { type MeasuredSpeed, speedOf } from "../hub/sessions/worker-memory.ts";

/**
 * What a hub tells of itself: small enough to push every second, enough to choose a hub and to
 * price a hold.
 */
export interface HubDigest {
  readonly hubId: string;
  readonly region: Region;
  readonly atMs: number;
  /** Seats taken: sockets of workers, those that still prove themselves included. */
  readonly sessions: number;
  readonly sessionsMax: number;
  /** It sends its workers elsewhere and takes no others. */
  readonly isMoving?: boolean;
  readonly models: readonly ModelDigest[];
}

/** One model name with one set of weights on one hub. */
export interface ModelDigest {
  readonly model: string;
  readonly digest: string;
  readonly architecture: string;
  readonly quantization: string;
  readonly identity: "content" | "declared";
  readonly bitsPerWeight: number | null;
  readonly parameterCount: number;
  readonly contextTokens: number;
  readonly workers: number;
  readonly slots: number;
  readonly freeSlots: number;
  /** Of the cheapest worker, both sides together. */
  readonly lowestPrice: Price;
  /** The lowest of each side, whosever it is. */
  readonly lowestSides: Price;
  readonly highestPrice: Price;
  readonly classCeiling: Class;
  /** Of the worker that can be relied on most (reputation.ts). */
  readonly bestReputation: number;
  /** Of the quickest worker, as measured; null where none was. */
  readonly lowestFirstTokenMs: number | null;
  /** Between the hub and its workers, on average; null where it is of none known. */
  readonly roundTripMs: number | null;
  /** The mean of what its workers say of their speed; null where none says anything. */
  readonly declared: DeclaredSpeeds | null;
  /** What the hub has measured of them, each answer counted alike; null where there was none. */
  readonly measured: MeasuredSpeeds | null;
  /** What at least one of its workers can do. */
  readonly abilities: readonly Ability[];
  /**
   * What each group of workers with the same abilities can do together: one worker has to fit, not
   * several.
   */
  readonly abilitySets: readonly (readonly Ability[])[];
}

export interface DeclaredSpeeds {
  readonly firstTokenMs: number;
  readonly promptTokensPerS: number;
  readonly decodeTokensPerS: number;
}

export interface MeasuredSpeeds {
  readonly firstTokenMs: number | null;
  readonly decodeTokensPerS: number | null;
  readonly successShare: number;
  readonly samples: number;
}

interface Gathering {
  listing: Listing;
  workers: number;
  slots: number;
  freeSlots: number;
  lowest: Price;
  lowestSides: Price;
  highest: Price;
  ceiling: number;
  contextTokens: number;
  bestReputation: number;
  lowestFirstTokenMs: number | null;
  readonly roundTripsMs: number[];
  readonly declared: DeclaredSpeed[];
  readonly measured: MeasuredSpeed[];
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
    // Whoever rests after failures has no room, as far as others can tell.
    const isResting = hub.atMs < (session.memory.breaker.untilMs ?? 0);
    for (const listing of session.listings) {
      gather(gathered, session, listing, isResting ? 0 : freeSlotsOf(session, listing));
    }
  }
  return { ...hub, sessions: count, models: [...gathered.values()].map(modelDigest) };
}

function gather(
  gathered: Map<string, Gathering>,
  session: Session,
  listing: Listing,
  freeSlots: number,
): void {
  const { model, digest, identity, bits_per_weight: bits } = listing;
  const key = `${model}\n${digest}\n${identity}\n${bits}`;
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
    lowestSides: price,
    highest: price,
    ceiling: 0,
    contextTokens: 0,
    bestReputation: 0,
    lowestFirstTokenMs: null,
    roundTripsMs: [],
    declared: [],
    measured: [],
    abilitySets: new Map(),
  };
  known.workers += 1;
  known.slots += listing.slots;
  known.freeSlots += freeSlots;
  known.lowest = totalPrice(price) < totalPrice(known.lowest) ? price : known.lowest;
  known.lowestSides = atMost(price, known.lowestSides);
  known.highest = highestPrice(price, known.highest);
  known.ceiling = Math.max(known.ceiling, classes.indexOf(listing.class_ceiling));
  known.contextTokens = Math.max(known.contextTokens, listing.context_tokens);
  if (listing.speed !== null) known.declared.push(listing.speed);
  const speed = speedOf(session.memory, listing);
  if (speed !== null) known.measured.push(speed);
  const firstTokenMs = speed?.firstTokenMs ?? null;
  if (firstTokenMs !== null) {
    known.lowestFirstTokenMs = Math.min(firstTokenMs, known.lowestFirstTokenMs ?? firstTokenMs);
  }
  known.bestReputation = Math.max(known.bestReputation, reputationOf(session.memory.speeds));
  if (session.roundTripMs !== null) known.roundTripsMs.push(session.roundTripMs);
  const abilities = listing.abilities.toSorted() as Ability[];
  known.abilitySets.set(abilities.join(" "), abilities);
  gathered.set(key, known);
}

function modelDigest(model: Gathering): ModelDigest {
  const { listing } = model;
  const abilitySets = [...model.abilitySets.values()];
  return {
    model: listing.model,
    digest: listing.digest,
    architecture: listing.architecture,
    quantization: listing.quantization,
    identity: listing.identity,
    bitsPerWeight: listing.bits_per_weight,
    parameterCount: listing.parameter_count,
    contextTokens: model.contextTokens,
    workers: model.workers,
    slots: model.slots,
    freeSlots: model.freeSlots,
    lowestPrice: model.lowest,
    lowestSides: model.lowestSides,
    highestPrice: model.highest,
    classCeiling: classes[model.ceiling] ?? "public",
    bestReputation: Math.round(model.bestReputation),
    lowestFirstTokenMs: rounded(model.lowestFirstTokenMs),
    roundTripMs: rounded(meanOf(model.roundTripsMs)),
    declared: declaredSpeeds(model.declared),
    measured: measuredSpeeds(model.measured),
    abilities: [...new Set(abilitySets.flat())],
    abilitySets,
  };
}

/** Whole milliseconds tell hubs apart, and many hubs have the same ones. */
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}

function meanOf(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function declaredSpeeds(speeds: readonly DeclaredSpeed[]): DeclaredSpeeds | null {
  if (speeds.length === 0) return null;
  const mean = (of: (speed: DeclaredSpeed) => number) =>
    speeds.reduce((sum, speed) => sum + of(speed), 0) / speeds.length;
  return {
    firstTokenMs: mean((speed) => speed.first_token_ms),
    promptTokensPerS: mean((speed) => speed.prompt_tokens_per_s),
    decodeTokensPerS: mean((speed) => speed.decode_tokens_per_s),
  };
}

/** One measurement of several: each sample counts alike, whoever made it. */
export function measuredSpeeds(speeds: readonly MeasuredSpeeds[]): MeasuredSpeeds | null {
  const samples = speeds.reduce((sum, speed) => sum + speed.samples, 0);
  if (samples === 0) return null;
  const mean = (of: (speed: MeasuredSpeeds) => number | null): number | null => {
    let total = 0;
    let count = 0;
    for (const speed of speeds) {
      const value = of(speed);
      if (value === null) continue;
      total += value * speed.samples;
      count += speed.samples;
    }
    return count === 0 ? null : total / count;
  };
  return {
    firstTokenMs: mean((speed) => speed.firstTokenMs),
    decodeTokensPerS: mean((speed) => speed.decodeTokensPerS),
    successShare: mean((speed) => speed.successShare) ?? 0,
    samples,
  };
}
