import type { Listing } from "../../../shared/protocol/listing.ts";
import { type AbilitySet, abilitySet } from "./ability-sets.ts";
import { priceOf, type Session } from "../hub-state.ts";
import { keyHash } from "./rendezvous.ts";
import { reputationOf } from "./reputation.ts";
import { type Measures, secrecyOf } from "./measures.ts";
import { speedOf } from "../sessions/worker-memory.ts";

/*
 * What choosing a worker needs of a session under one model name. It changes when the worker lists
 * anew or an attempt is measured, and is asked for by every task, so it is kept in between.
 */

export interface CandidateFacts {
  readonly session: Session;
  readonly listing: Listing;
  readonly measures: Measures;
  readonly abilities: AbilitySet;
}

/** The facts of a session, as long as they hold. */
export interface KeptFacts {
  readonly listings: Session["listings"];
  /** Of all names and digests that it lists. */
  readonly nameBits: number;
  readonly speeds: Session["memory"]["speeds"];
  readonly reputation: number;
  /** Of names that are listed alone: what strangers ask for takes no memory. */
  readonly factsByName: Map<string, CandidateFacts>;
}

/** The name of a model or its digest, with its bit. */
export interface AskedModel {
  readonly name: string;
  readonly bit: number;
}

/** Most sessions of a hub do not list a model: nearly all of them lack the bit of its name. */
export function askedModel(name: string): AskedModel {
  return { name, bit: bitOf(name) };
}

/** The facts of a session's listing of a model, by name or digest; null where it has none such. */
export function factsOf(session: Session, { name, bit }: AskedModel): CandidateFacts | null {
  let kept = session.facts;
  // Both lists are replaced, never changed in place (list-claim.ts, worker-memory.ts).
  if (kept?.listings !== session.listings) kept = keepFacts(session, nameBitsOf(session.listings));
  if ((kept.nameBits & bit) === 0) return null;
  if (kept.speeds !== session.memory.speeds) kept = keepFacts(session, kept.nameBits);
  return kept.factsByName.get(name) ?? newFacts(session, kept, name);
}

function keepFacts(session: Session, nameBits: number): KeptFacts {
  const { listings, memory } = session;
  const { speeds } = memory;
  const reputation = reputationOf(speeds);
  session.facts = { listings, nameBits, speeds, reputation, factsByName: new Map() };
  return session.facts;
}

function nameBitsOf(listings: readonly Listing[]): number {
  let bits = 0;
  for (const { model, digest } of listings) bits |= bitOf(model) | bitOf(digestPrefix + digest);
  return bits;
}

/** One of 32, by the upper bits of the hash, on which every character tells. */
function bitOf(name: string): number {
  return 1 << (keyHash(name) >>> 27);
}

function newFacts(session: Session, kept: KeptFacts, name: string): CandidateFacts | null {
  const listing = listingFor(session, name);
  if (listing === null) return null;
  const facts: CandidateFacts = {
    session,
    listing,
    measures: measuresOf(session, listing, kept.reputation),
    abilities: abilitySet(listing.abilities),
  };
  kept.factsByName.set(name, facts);
  return facts;
}

function measuresOf(session: Session, listing: Listing, reputation: number): Measures {
  const speed = speedOf(session.memory, listing);
  return {
    ...priceOf(listing),
    firstTokenMs: speed?.firstTokenMs ?? null,
    tokensPerS: speed?.decodeTokensPerS ?? null,
    reputation,
    roundTripMs: session.roundTripMs,
    successShare: speed?.successShare ?? null,
    bitsPerWeight: listing.bits_per_weight,
    secrecy: secrecyOf(listing.class_ceiling, listing.identity),
    isMeasured: speed !== null,
    // One that has failed whatever it was asked is no bargain.
    tier: speed !== null && speed.firstTokenMs === null ? 1 : 0,
    id: session.workerId,
  };
}

const digestPrefix = "sha256:";

/** The listing under which a worker would serve this task, by name or by digest. */
export function listingFor(session: Session, model: string): Listing | null {
  const digest = model.startsWith(digestPrefix) ? model.slice(digestPrefix.length) : null;
  for (const listing of session.listings) {
    if (listing.model === model || listing.digest === digest) return listing;
  }
  return null;
}
