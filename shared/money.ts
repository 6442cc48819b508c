import { assert } from "./assert.ts";

/**
 * Money in micros: 1 credit = 1,000,000 micros = 1 US dollar by default. Always a bigint in code,
 * so that no sum ever passes through a float.
 */
export type Micros = bigint;

export const MICROS_PER_CREDIT = 1_000_000n;

/**
 * What a listing asks: micros for one million prompt tokens and for one million completion tokens.
 */
export interface Price {
  readonly inputMicrosPerMillion: number;
  readonly outputMicrosPerMillion: number;
}

/** Tokens of one attempt, as counted by whoever is speaking. */
export interface TokenCounts {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/**
 * The cost of `counts` at `percent` percent of `price`, in micros, rounded up once over the whole
 * sum. No tokens cost nothing. Throws AssertionError on counts, prices or percentages that are not
 * safe integers of zero or more.
 */
export function costMicros(counts: TokenCounts, price: Price, percent = 100): Micros {
  for (const value of [
    percent,
    counts.promptTokens,
    counts.completionTokens,
    price.inputMicrosPerMillion,
    price.outputMicrosPerMillion,
  ]) {
    assert(Number.isSafeInteger(value) && value >= 0, `${value} is an integer of zero or more`);
  }
  const scaled =
    BigInt(counts.promptTokens) * BigInt(price.inputMicrosPerMillion) +
    BigInt(counts.completionTokens) * BigInt(price.outputMicrosPerMillion);
  return (scaled * BigInt(percent) + 99_999_999n) / 100_000_000n;
}

/** Both sides together, in micros: what tells a cheap offer from a dear one. */
export function totalPrice({ inputMicrosPerMillion, outputMicrosPerMillion }: Price): number {
  return inputMicrosPerMillion + outputMicrosPerMillion;
}

/** The dearer of two prices, side by side: what a hold must cover when either may serve. */
export function highestPrice(a: Price, b: Price): Price {
  return {
    inputMicrosPerMillion: Math.max(a.inputMicrosPerMillion, b.inputMicrosPerMillion),
    outputMicrosPerMillion: Math.max(a.outputMicrosPerMillion, b.outputMicrosPerMillion),
  };
}

/** Who gets which part of a settled task, in percent of the whole. */
export interface Split {
  readonly provider: number;
  readonly orchestrator: number;
  readonly treasury: number;
  readonly burn: number;
  readonly stakers: number;
}

export const splitParties = ["provider", "orchestrator", "treasury", "burn", "stakers"] as const;
export type SplitParty = (typeof splitParties)[number];

export const defaultSplit: Split = {
  provider: 70,
  orchestrator: 10,
  treasury: 10,
  burn: 5,
  stakers: 5,
};

/**
 * Divides `total` micros by the percentages of `split` with the largest-remainder method: the parts
 * always add up to `total`. Ties go to the party named first. Throws AssertionError unless the
 * percentages sum to 100.
 */
export function divideBySplit(total: Micros, split: Split): Record<SplitParty, Micros> {
  assert(total >= 0n, `a total of ${total} micros is not negative`);
  const percentSum = splitParties.reduce((sum, party) => sum + split[party], 0);
  assert(percentSum === 100, `the split sums to 100, not ${percentSum}`);
  const exact = splitParties.map((party, order) => {
    const scaled = total * BigInt(split[party]);
    return { party, order, micros: scaled / 100n, remainder: scaled % 100n };
  });
  let left = total - exact.reduce((sum, part) => sum + part.micros, 0n);
  const byRemainder = exact.toSorted((a, b) =>
    a.remainder === b.remainder ? a.order - b.order : a.remainder > b.remainder ? -1 : 1,
  );
  const parts = { provider: 0n, orchestrator: 0n, treasury: 0n, burn: 0n, stakers: 0n };
  for (const part of byRemainder) {
    const extra = left > 0n ? 1n : 0n;
    left -= extra;
    parts[part.party] = part.micros + extra;
  }
  return parts;
}

/** Micros as a decimal credit amount for people: 1234567n is "1.234567". */
export function formatCredits(micros: Micros): string {
  const sign = micros < 0n ? "-" : "";
  const absolute = micros < 0n ? -micros : micros;
  const fraction = (absolute % MICROS_PER_CREDIT).toString().padStart(6, "0").replace(/0+$/, "");
  return `${sign}${absolute / MICROS_PER_CREDIT}${fraction === "" ? "" : `.${fraction}`}`;
}

/**
 * The micros of a decimal credit amount that a person wrote, or null where it is none: digits, and
 * at most six of them behind a point. Neither signs nor exponents, and never by way of a float.
 */
export function parseCredits(text: string): Micros | null {
  const [, whole, fraction = ""] = /^(\d{1,15})(?:\.(\d{1,6}))?$/.exec(text) ?? [];
  if (whole === undefined) return null;
  return BigInt(whole) * MICROS_PER_CREDIT + BigInt(fraction.padEnd(6, "0"));
}
