import type { TaskKind } from "../../../shared/openai/task-kinds.ts";
import { classes } from "../../../shared/protocol/listing.ts";
import { distanceKm, type Region } from "../../../shared/regions.ts";
import type { HubDigest, ModelDigest } from "../../directory/digest.ts";
import { type AbilitySet, abilitySet } from "../../hub/routing/ability-sets.ts";
import { type Measures, secrecyOf } from "../../hub/routing/measures.ts";
import { Scoreboard } from "../../hub/routing/scoreboard.ts";

/*
 * What choosing a hub needs of a view under one model name. A view stays the same for a second or
 * more (network-view.ts) and every request asks it, so it is kept with the view: finding the offers
 * of a model among thousands takes longer than choosing one.
 */

/** A model as one hub has it. */
export interface Offer {
  readonly hub: HubDigest;
  readonly model: ModelDigest;
  /** Of its ceiling, among `classes`. */
  readonly classRank: number;
  /** What each group of its workers can do. */
  readonly abilitySets: readonly AbilitySet[];
}

/** Tasks are scored alike where they are of one kind and come from one region. */
type BoardKey = `${TaskKind} ${Region}`;

/** All offers of one name in one view. */
export interface NamedOffers {
  readonly offers: readonly Offer[];
  /** In the order of the offers. An isolate serves one region, and a model a kind or two. */
  readonly boards: Map<BoardKey, Scoreboard>;
}

const offersByView = new WeakMap<readonly HubDigest[], Map<string, NamedOffers>>();

export function namedOffers(name: string, digests: readonly HubDigest[]): NamedOffers {
  const offersByName = offersByView.get(digests) ?? new Map<string, NamedOffers>();
  const known = offersByName.get(name);
  if (known !== undefined) return known;
  const offers: Offer[] = [];
  const digest = digestIn(name);
  for (const hub of digests) {
    for (const model of hub.models) {
      if (model.model === name || model.digest === digest) offers.push(offerOf(hub, model));
    }
  }
  const named: NamedOffers = { offers, boards: new Map() };
  // What nobody offers is not kept: anyone can ask for any number of names.
  if (offers.length > 0) offersByView.set(digests, offersByName.set(name, named));
  return named;
}

const digestPrefix = "sha256:";

/** Whether a digest is of the model asked for, by name or as `sha256:…`. */
export function isNamed(model: ModelDigest, name: string): boolean {
  return model.model === name || model.digest === digestIn(name);
}

/** The names of a model that is asked for by its digest; none where it is asked for by name. */
export function namesOfDigest(name: string, digests: readonly HubDigest[]): string[] {
  const digest = digestIn(name);
  if (digest === null) return [];
  const models = digests.flatMap((hub) => hub.models.filter((model) => model.digest === digest));
  return [...new Set(models.map(({ model }) => model))];
}

/** The digest by which a model is asked for; null where it is asked for by name. */
export function digestIn(name: string): string | null {
  return name.startsWith(digestPrefix) ? name.slice(digestPrefix.length) : null;
}

/** The board of all offers for tasks of a kind from a region; nobody is left out of it. */
export function boardOf(
  { offers, boards }: NamedOffers,
  { kind, region }: { readonly kind: TaskKind; readonly region: Region },
): Scoreboard {
  const key: BoardKey = `${kind} ${region}`;
  const known = boards.get(key);
  if (known !== undefined) {
    known.restart();
    return known;
  }
  const board = new Scoreboard(offers.length);
  board.clear(kind);
  for (const { hub, model } of offers) {
    const freeShare = model.slots === 0 ? 0 : Math.min(1, model.freeSlots / model.slots);
    board.add(measuresOf(hub, model), { freeShare, km: distanceKm(region, hub.region) });
  }
  boards.set(key, board);
  return board;
}

/** Digests of one view share what they have in common (packed-view.ts), so its bits are too. */
const abilitySetsByList = new WeakMap<ModelDigest["abilitySets"], readonly AbilitySet[]>();

function offerOf(hub: HubDigest, model: ModelDigest): Offer {
  let abilitySets = abilitySetsByList.get(model.abilitySets);
  if (abilitySets === undefined) {
    abilitySets = model.abilitySets.map(abilitySet);
    abilitySetsByList.set(model.abilitySets, abilitySets);
  }
  return { hub, model, classRank: classes.indexOf(model.classCeiling), abilitySets };
}

function measuresOf(hub: HubDigest, model: ModelDigest): Measures {
  const { measured } = model;
  const isFailing = measured !== null && measured.firstTokenMs === null;
  return {
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
}
