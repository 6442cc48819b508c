import { MICROS_PER_CREDIT, type Price } from "../money.ts";
import type { Class } from "../protocol/listing.ts";
import type { Region } from "../regions.ts";
import type { Ability } from "./abilities.ts";
import { type OctoOptions, type WeightDemands, weightDemands } from "./octo-options.ts";
import {
  strategies,
  type ScoreWeights,
  type SortOrder,
  type Strategy,
  strategyWeights,
  weightsOf,
} from "./strategies.ts";

/** How a worker is chosen among those that could serve. Plain data: it travels with the task. */
export interface Routing {
  /** The strategy by name, or what the consumer gave instead of one. */
  readonly strategy: Strategy | "weights" | "sort";
  readonly weights: ScoreWeights;
  /** A strict order instead of weights. */
  readonly sort: SortOrder | null;
  /** Where a worker has to be; null for anywhere. */
  readonly regions: readonly Region[] | null;
  readonly reputationMin: number;
  /** Ids of workers, or of their accounts. */
  readonly exclude: readonly string[];
  /** The same of those alone that may be chosen; null for all. */
  readonly include: readonly string[] | null;
  /** Equal for tasks that begin alike, so that they find a worker that has read the beginning. */
  readonly affinity: string | null;
}

/** Routing of whoever asks for nothing. */
export const defaultRouting: Routing = {
  strategy: "balanced",
  weights: strategyWeights.balanced,
  sort: null,
  regions: null,
  reputationMin: 0,
  exclude: [],
  include: null,
  affinity: null,
};

/** Everything that a consumer's options say. */
export interface RoutingDemands {
  readonly routing: Routing;
  readonly weights: WeightDemands;
  readonly class: Class;
  readonly require: readonly Ability[];
  /** The most to pay; null for whatever it costs. A side that is not limited is null. */
  readonly priceMax: PriceMax;
}

/** A limit on each side of a price, in micros for a million tokens; null for none. */
export type PriceMax = { readonly [Side in keyof Price]: number | null };

/**
 * What several options come to, the first of them counting most: each field is the first one's that
 * has it. A strategy, weights and a sort order answer one question, so they count as one field.
 */
export function mergeOptions(sources: readonly (OctoOptions | null | undefined)[]): OctoOptions {
  let merged: OctoOptions = {};
  for (const source of sources) {
    if (source === null || source === undefined) continue;
    const { strategy: _, weights: __, sort: ___, ...rest } = source;
    merged = isDecided(merged) ? { ...rest, ...merged } : { ...source, ...merged };
  }
  return merged;
}

function isDecided({ strategy, weights, sort }: OctoOptions): boolean {
  return strategy !== undefined || weights !== undefined || sort !== undefined;
}

/** What options demand, with the defaults in place of what they do not say. */
export function routingDemands(options: OctoOptions, affinity: string | null): RoutingDemands {
  const { region, exclude, include } = options;
  return {
    routing: {
      ...choiceOf(options),
      regions: region === undefined ? null : [region].flat(),
      reputationMin: options.min_reputation ?? 0,
      exclude: exclude ?? [],
      include: include ?? null,
      affinity,
    },
    weights: weightDemands(options),
    class: options.class ?? "public",
    require: options.require ?? [],
    priceMax: priceMaxOf(options.max_price),
  };
}

function choiceOf(options: OctoOptions): Pick<Routing, "strategy" | "weights" | "sort"> {
  const { sort, weights, strategy = "balanced" } = options;
  if (sort !== undefined) {
    return { strategy: "sort", weights: weightsOf({ [sort]: 1 }), sort };
  }
  if (weights !== undefined)
    return { strategy: "weights", weights: weightsOf(weights), sort: null };
  return { strategy, weights: strategyWeights[strategy], sort: null };
}

const microsPerCredit = Number(MICROS_PER_CREDIT);

function priceMaxOf(given: OctoOptions["max_price"]): PriceMax {
  const { input, output } = typeof given === "object" ? given : { input: given, output: given };
  const micros = (credits: number | undefined) =>
    credits === undefined ? null : Math.round(credits * microsPerCredit);
  return { inputMicrosPerMillion: micros(input), outputMicrosPerMillion: micros(output) };
}

/** Whether a price is within the limits of both its sides. */
export function isWithin(price: Price, most: PriceMax): boolean {
  const { inputMicrosPerMillion: input, outputMicrosPerMillion: output } = most;
  return (
    (input === null || price.inputMicrosPerMillion <= input) &&
    (output === null || price.outputMicrosPerMillion <= output)
  );
}

/** A price of which neither side is over its limit. */
export function atMost(price: Price, most: PriceMax): Price {
  const { inputMicrosPerMillion: input, outputMicrosPerMillion: output } = most;
  return {
    inputMicrosPerMillion: Math.min(price.inputMicrosPerMillion, input ?? Infinity),
    outputMicrosPerMillion: Math.min(price.outputMicrosPerMillion, output ?? Infinity),
  };
}

/** A model's name with a strategy after its last colon, as `llama:cost`; null for any other. */
export function strategySuffix(
  name: string,
): { readonly model: string; readonly strategy: Strategy } | null {
  const colon = name.lastIndexOf(":");
  const strategy = strategies.find((one) => one === name.slice(colon + 1));
  if (colon < 1 || strategy === undefined) return null;
  return { model: name.slice(0, colon), strategy };
}
