import { highestPrice, type Price } from "../../shared/money.ts";
import type { Demands } from "../../shared/openai/demands.ts";
import { type WeightDemands, weightFault } from "../../shared/openai/octo-options.ts";
import { classes, type Class } from "../../shared/protocol/listing.ts";
import type { HubDigest, ModelDigest } from "../directory/digest.ts";
import { expectedAnswerMs } from "../hub/worker-memory.ts";
import { whyNone } from "./why-none.ts";

/** A request as far as choosing a hub goes. */
export interface HubQuery {
  readonly model: string;
  readonly demands: Demands;
  readonly class: Class;
  readonly weights: WeightDemands;
}

export interface HubChoice {
  /** In the order in which they should be asked. */
  readonly hubIds: readonly string[];
  /** What a hold must cover whichever of them serves. */
  readonly price: Price;
  readonly contextTokens: number;
}

/** A hub that cannot serve says so at once; asking more than three costs more than it finds. */
const hubsMax = 3;

/** The hubs that can serve, best first; throws what the consumer should know where none can. */
export function chooseHub(
  query: HubQuery,
  digests: readonly HubDigest[],
  random: () => number,
): HubChoice {
  const offers = digests.flatMap((hub) =>
    hub.models.filter((model) => isNamed(model, query.model)).map((model) => ({ hub, model })),
  );
  const able = offers.filter(
    ({ model }) => isAble(model, query.demands) && weightFault(query.weights, model) === null,
  );
  const fitting = able.filter(
    ({ model }) => classes.indexOf(model.classCeiling) >= classes.indexOf(query.class),
  );
  if (fitting.length === 0) {
    throw whyNone(
      query,
      digests,
      offers.map(({ model }) => model),
    );
  }
  const expectedMs = timesOf(fitting.map(({ model }) => model.measured));
  const scored = fitting.map((offer) => ({ ...offer, chance: random() }));
  scored.sort(
    (a, b) =>
      Number(b.model.freeSlots > 0) - Number(a.model.freeSlots > 0) ||
      total(a.model.lowestPrice) - total(b.model.lowestPrice) ||
      expectedMs(a.model.measured) - expectedMs(b.model.measured) ||
      a.chance - b.chance,
  );
  const hubIds = [...new Set(scored.map(({ hub }) => hub.hubId))].slice(0, hubsMax);
  const served = fitting.filter(({ hub }) => hubIds.includes(hub.hubId));
  return {
    hubIds,
    price: served.map(({ model }) => model.highestPrice).reduce(highestPrice),
    contextTokens: Math.max(...served.map(({ model }) => model.contextTokens)),
  };
}

/** Whether a digest is of the model asked for, by name or as `sha256:…`. */
export function isNamed(model: ModelDigest, name: string): boolean {
  return model.model === name || `sha256:${model.digest}` === name;
}

function isAble(model: ModelDigest, demands: Demands): boolean {
  return model.abilitySets.some((set) =>
    [...demands.fieldByAbility.keys()].every((ability) => set.includes(ability)),
  );
}

/**
 * How long each takes among these: what is known to be fast goes first, then the unmeasured, and
 * last what was asked and never answered. A pace counts only where all of them have one: an answer
 * in one piece shows none, and would be taken for infinitely fast.
 */
function timesOf(
  all: readonly ModelDigest["measured"][],
): (measured: ModelDigest["measured"]) => number {
  const answering = all.filter((one) => one !== null && one.firstTokenMs !== null);
  const arePaced = answering.every((one) => one?.decodeTokensPerS !== null);
  return (measured) => {
    if (measured === null) return Number.MAX_SAFE_INTEGER;
    if (measured.firstTokenMs === null) return Number.MAX_VALUE;
    return expectedAnswerMs(arePaced ? measured : { ...measured, decodeTokensPerS: null });
  };
}

function total(price: Price): number {
  return price.inputMicrosPerMillion + price.outputMicrosPerMillion;
}
