import { assert } from "../assert.ts";

/** What a candidate is scored by; each is a share of the best candidate's, from 0 to 1. */
export const scoreParts = [
  /** Credits for a million tokens. */
  "price",
  /** Milliseconds to the first token. */
  "latency",
  /** Tokens a second of one answer. */
  "throughput",
  /** Slots that are free. */
  "load",
  "reputation",
  /** The way of an answer: from worker to edge as measured, from there by the map. */
  "distance",
  /** Attempts that did not fail. */
  "success",
  /** Bits a weight, up to 16: nobody has shown that more make better answers. */
  "precision",
  /** The class a worker may serve, then whether it has read the model's files itself. */
  "secrecy",
] as const;
export type ScorePart = (typeof scoreParts)[number];

export type ScoreWeights = Readonly<Record<ScorePart, number>>;

export const strategies = ["cost", "speed", "quality", "privacy", "geo", "balanced"] as const;
export type Strategy = (typeof strategies)[number];

const none: ScoreWeights = {
  price: 0,
  latency: 0,
  throughput: 0,
  load: 0,
  reputation: 0,
  distance: 0,
  success: 0,
  precision: 0,
  secrecy: 0,
};

/**
 * What each strategy weighs; every row sums to 1. Each leaves something to load and success, so
 * that among near-equals the freer and the sounder wins.
 */
export const strategyWeights: Readonly<Record<Strategy, ScoreWeights>> = {
  cost: { ...none, price: 0.8, load: 0.1, success: 0.1 },
  speed: { ...none, latency: 0.35, throughput: 0.35, load: 0.1, distance: 0.1, success: 0.1 },
  quality: { ...none, reputation: 0.4, precision: 0.4, load: 0.1, success: 0.1 },
  privacy: { ...none, secrecy: 0.7, reputation: 0.15, load: 0.1, success: 0.05 },
  geo: { ...none, distance: 0.7, latency: 0.1, load: 0.1, success: 0.1 },
  balanced: {
    ...none,
    price: 0.25,
    latency: 0.15,
    throughput: 0.15,
    load: 0.2,
    reputation: 0.1,
    distance: 0.05,
    success: 0.1,
  },
};

/** Orders in which nothing else counts, as OpenRouter's `sort`. */
export const sortOrders = ["price", "throughput", "latency", "reputation"] as const;
export type SortOrder = (typeof sortOrders)[number];

/** Weights as a consumer gives them, at least one of them over 0, made to sum to 1. */
export function weightsOf(given: {
  readonly [Part in ScorePart]?: number | undefined;
}): ScoreWeights {
  const sum = scoreParts.reduce((total, part) => total + (given[part] ?? 0), 0);
  assert(sum > 0, `weights sum to more than 0, not to ${sum}`);
  const shares = scoreParts.map((part) => [part, (given[part] ?? 0) / sum]);
  return Object.fromEntries(shares) as ScoreWeights;
}
