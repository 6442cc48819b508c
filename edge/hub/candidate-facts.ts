import { abilities } from "../../shared/openai/abilities.ts";
import type { Ability } from "../../shared/openai/demands.ts";
import type { Listing } from "../../shared/protocol/listing.ts";
import { priceOf, type Session } from "./hub-state.ts";
import { reputationOf } from "./reputation.ts";
import { type Measures, secrecyOf } from "./strategies.ts";
import { speedOf } from "./worker-memory.ts";

/*
 * What choosing a worker needs of a session under one model name. It changes when the worker lists
 * anew or an attempt is measured, and is asked for by every task, so it is kept in between.
 */

export interface CandidateFacts {
  readonly session: Session;
  readonly listing: Listing;
  readonly measures: Measures;
  /** One bit for each of the named abilities. */
  readonly abilityBits: number;
}

/** The facts of a session, as long as they hold. */
export interface KeptFacts {
  readonly listings: Session["listings"];
  readonly speeds: Session["memory"]["speeds"];
  readonly reputation: number;
  /** Whom it was asked for last: most tasks in a row are for one model. */
  model: string;
  facts: CandidateFacts | null;
  /** Of names that are listed alone: what strangers ask for takes no memory. */
  readonly factsByModel: Map<string, CandidateFacts>;
}

/** The facts of a session's listing of a model, by name or digest; null where it has none such. */
export function factsOf(session: Session, model: string): CandidateFacts | null {
  let kept = session.facts;
  // Both lists are replaced, never changed in place (list-claim.ts, worker-memory.ts).
  if (
    kept === null ||
    kept.listings !== session.listings ||
    kept.speeds !== session.memory.speeds
  ) {
    kept = keptFacts(session);
    session.facts = kept;
  }
  if (kept.model !== model) {
    kept.model = model;
    kept.facts = kept.factsByModel.get(model) ?? newFacts(session, kept, model);
  }
  return kept.facts;
}

function keptFacts(session: Session): KeptFacts {
  const { listings, memory } = session;
  return {
    listings,
    speeds: memory.speeds,
    reputation: reputationOf(memory.speeds),
    // No model is called so.
    model: "",
    facts: null,
    factsByModel: new Map(),
  };
}

function newFacts(session: Session, kept: KeptFacts, model: string): CandidateFacts | null {
  const listing = listingFor(session, model);
  if (listing === null) return null;
  const facts: CandidateFacts = {
    session,
    listing,
    measures: measuresOf(session, listing, kept.reputation),
    abilityBits: abilityBits(listing.abilities),
  };
  kept.factsByModel.set(model, facts);
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

/** What a task demands: what bits say, and the rest (file formats, engines' own fields). */
export interface DemandedAbilities {
  readonly bits: number;
  readonly others: readonly Ability[];
}

/** Numbers have 31 bits that need no care; there are fewer named abilities. */
const bitByAbility = new Map<string, number>(
  abilities.slice(0, 31).map((ability, at) => [ability, 1 << at]),
);

function abilityBits(names: readonly string[]): number {
  let bits = 0;
  for (const name of names) bits |= bitByAbility.get(name) ?? 0;
  return bits;
}

export function demandedAbilities(demands: readonly Ability[]): DemandedAbilities {
  const others = demands.filter((ability) => !bitByAbility.has(ability));
  return { bits: abilityBits(demands), others };
}

/** Whether a candidate can do all that is demanded. */
export function isAble(facts: CandidateFacts, { bits, others }: DemandedAbilities): boolean {
  if ((facts.abilityBits & bits) !== bits) return false;
  return others.every((one) => facts.listing.abilities.includes(one));
}
