import { abilities } from "../../shared/openai/abilities.ts";
import type { Ability } from "../../shared/openai/demands.ts";
import type { Listing } from "../../shared/protocol/listing.ts";
import type { Session } from "./hub-state.ts";
import { reputationOf } from "./reputation.ts";
import { secrecyOf } from "./strategies.ts";
import { type MeasuredSpeed, speedOf } from "./worker-memory.ts";

/*
 * What choosing a worker needs of a session under one model name. It changes when the worker lists
 * anew or an attempt is measured, and is asked for by every task, so it is kept in between.
 */

export interface CandidateFacts {
  readonly listing: Listing;
  readonly speed: MeasuredSpeed | null;
  readonly secrecy: number;
  /** One bit for each of the named abilities. */
  readonly abilityBits: number;
  /** Of all the worker's models together. */
  readonly reputation: number;
}

interface Kept {
  readonly listings: Session["listings"];
  readonly speeds: Session["memory"]["speeds"];
  readonly reputation: number;
  /** Of names that are listed alone: what strangers ask for takes no memory. */
  readonly factsByModel: Map<string, CandidateFacts>;
}

const keptBySession = new WeakMap<Session, Kept>();

/** The facts of a session's listing of a model, by name or digest; null where it has none such. */
export function factsOf(session: Session, model: string): CandidateFacts | null {
  let kept = keptBySession.get(session);
  // Both lists are replaced, never changed in place (list-claim.ts, worker-memory.ts).
  if (kept?.listings !== session.listings || kept.speeds !== session.memory.speeds) {
    const { listings, memory } = session;
    const reputation = reputationOf(memory.speeds);
    kept = { listings, speeds: memory.speeds, reputation, factsByModel: new Map() };
    keptBySession.set(session, kept);
  }
  const known = kept.factsByModel.get(model);
  if (known !== undefined) return known;
  const listing = listingFor(session, model);
  if (listing === null) return null;
  const facts: CandidateFacts = {
    listing,
    speed: speedOf(session.memory, listing),
    secrecy: secrecyOf(listing.class_ceiling, listing.identity),
    abilityBits: abilityBits(listing.abilities),
    reputation: kept.reputation,
  };
  kept.factsByModel.set(model, facts);
  return facts;
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

/** What a task demands, split into what bits say and the rest: file formats, engines' own fields. */
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
