import type { Routing } from "../../../shared/openai/routing.ts";
import {
  type ScorePart,
  scoreParts,
  type ScoreWeights,
} from "../../../shared/openai/strategies.ts";
import type { TaskKind } from "../../../shared/openai/task-kinds.ts";
import { type Measures, type Moment, wayMs } from "./measures.ts";
import { keyHash, rendezvousRank } from "./rendezvous.ts";

/**
 * How candidates (workers in a hub, hubs in a directory's digests) are scored and one is drawn.
 *
 * S1. A part of a score is a share of the best candidate's own, from 0 to 1: twice the price or
 *     twice the time is a half. Small differences stay small, and one absurd value changes nothing
 *     for the others.
 * S2. Only measurements count. What is unknown counts 0; a pace that a measured candidate has not
 *     shown yet counts as the slowest of those shown.
 * S3. A candidate of a worse tier (a hub without a free slot, one that only ever failed) is chosen
 *     only where there is none of a better.
 * S4. One in a hundred choices goes to an unmeasured candidate, where there are measured ones too;
 *     otherwise an unmeasured one is chosen only where it is better by more than the band.
 * S5. A task with an affinity goes to the same candidate as long as that is near the best.
 */

/**
 * Scores nearer to the best than this are equal. Measured times vary by 15 % by themselves
 * (EWMA over about ten answers), which moves a balanced score, with 0.3 on times, by 0.04.
 */
export const nearBand = 0.05;
/**
 * How much worse the worker that has read a conversation's beginning may be: half its slots, which
 * is 0.1 of a balanced score. Reading it again costs more than that on any long prompt; a task
 * that waits behind a full or failing worker costs more still.
 */
export const stickyBand = 0.1;
/** The share of choices that goes to the unmeasured, so that they are measured (S4). */
export const explorationShare = 0.01;
/** A strict order knows no near-equals but for the rounding of floats. */
const strictBand = 1e-9;

/** Of two drawn candidates the better, or who it was for another reason. */
export interface Drawn {
  readonly at: number;
  readonly isExplored: boolean;
  readonly isSticky: boolean;
}

/** FP16: more has not been shown to make better answers. */
const bitsMax = 16;
/** Of those that no draw gives: they do not fit the task, or were taken before. */
const outTier = 255;
const partCount = scoreParts.length;
/** Where a lower value is better, and what is added to both sides: less than that is nothing. */
const lowerIsBetter = new Map<ScorePart, number>([
  ["price", 1],
  ["latency", 10],
  ["distance", 10],
]);
const higherIsBetter = -1;
const floors = Float64Array.from(scoreParts, (part) => lowerIsBetter.get(part) ?? higherIsBetter);
const throughputAt = scoreParts.indexOf("throughput");
/** As many as a hub has workers. */
const startCapacity = 256;

type Column = Float64Array<ArrayBuffer>;
/** As many as there are parts. */
type Columns = [Column, Column, Column, Column, Column, Column, Column, Column, Column];

/**
 * The candidates of a choice, in columns that are used again for the next: a choice among hundreds
 * allocates nothing a candidate. Where the next one is among the same, they can stay.
 */
export class Scoreboard {
  size = 0;
  /** Documents without tokens of their own cost their prompt alone. */
  #isPromptOnly = false;
  readonly #ids: string[] = [];
  /** Whom a draw is among, again used for the next. */
  readonly #near: number[] = [];
  /** A column a part, in the order of scoreParts. */
  #columns: Column[];
  /** The least and the most that is known of each part. */
  readonly #least = new Float64Array(partCount);
  readonly #most = new Float64Array(partCount);
  #scores: Column;
  #tiers: Uint8Array<ArrayBuffer>;
  /** The tiers of those who can be drawn. */
  #tiersLeft: Uint8Array<ArrayBuffer>;
  #measured: Uint8Array<ArrayBuffer>;

  constructor(capacity = startCapacity) {
    this.#columns = scoreParts.map(() => new Float64Array(capacity));
    this.#scores = new Float64Array(capacity);
    this.#tiers = new Uint8Array(capacity);
    this.#tiersLeft = new Uint8Array(capacity);
    this.#measured = new Uint8Array(capacity);
  }

  /** Makes room for the candidates of one task. */
  clear(kind: TaskKind): void {
    this.size = 0;
    this.#isPromptOnly = kind === "embedding" || kind === "rerank" || kind === "classification";
  }

  add(of: Measures, { freeShare, km }: Moment): void {
    const at = this.size++;
    if (at >= this.#scores.length) this.#grow();
    this.#ids[at] = of.id;
    this.#tiers[at] = of.tier;
    this.#tiersLeft[at] = of.tier;
    this.#measured[at] = of.isMeasured ? 1 : 0;
    const columns = this.#columns as Columns;
    columns[0][at] =
      of.inputMicrosPerMillion + (this.#isPromptOnly ? 0 : of.outputMicrosPerMillion);
    columns[1][at] = of.firstTokenMs ?? Number.NaN;
    columns[2][at] = of.tokensPerS ?? Number.NaN;
    columns[3][at] = freeShare;
    columns[4][at] = of.reputation;
    columns[5][at] = wayMs(km, of.roundTripMs);
    columns[6][at] = of.successShare ?? Number.NaN;
    columns[7][at] = Math.min(of.bitsPerWeight ?? Number.NaN, bitsMax);
    columns[8][at] = of.secrecy;
  }

  /** Begins another choice among the same. */
  restart(): void {
    this.#tiersLeft.set(this.#tiers);
  }

  /** Of one who does not fit: it is neither drawn nor compared with. */
  leaveOut(at: number): void {
    this.#tiersLeft[at] = outTier;
  }

  /** Scores all who are left by these weights. */
  score(weights: ScoreWeights): void {
    this.#scores.fill(0, 0, this.size);
    for (let part = 0; part < partCount; part++) {
      const weight = weights[scoreParts[part] as ScorePart];
      if (weight > 0) this.#scorePart(part, weight);
    }
  }

  scoreOf(at: number): number {
    return this.#scores[at] ?? 0;
  }

  tierOf(at: number): number {
    return this.#tiers[at] ?? 0;
  }

  /** Leaves out of the next draws whoever has this one's id, and gives them. */
  take(at: number): number[] {
    const id = this.#ids[at];
    const taken: number[] = [];
    for (let one = 0; one < this.size; one++) {
      if (this.#tiersLeft[one] === outTier || this.#ids[one] !== id) continue;
      this.#tiersLeft[one] = outTier;
      taken.push(one);
    }
    return taken;
  }

  /**
   * One of those that score best (S3 to S5), or null where there is none left. A `next` one, after
   * another was taken, is the best of those left: scores were made by the first.
   */
  draw(
    routing: Pick<Routing, "sort" | "affinity">,
    random: () => number,
    { isNext = false } = {},
  ): Drawn | null {
    let tier = outTier;
    let best = 0;
    let bestMeasured = Number.NEGATIVE_INFINITY;
    let unmeasured = 0;
    for (let at = 0; at < this.size; at++) {
      const own = this.#tiersLeft[at] as number;
      if (own === outTier || own > tier) continue;
      if (own < tier) {
        // S3: whoever was looked at before is of a worse tier.
        tier = own;
        best = 0;
        bestMeasured = Number.NEGATIVE_INFINITY;
        unmeasured = 0;
      }
      const score = this.#scores[at] as number;
      if (score > best) best = score;
      if (this.#measured[at] === 0) unmeasured += 1;
      else if (score > bestMeasured) bestMeasured = score;
    }
    if (tier === outTier) return null;
    const isMixed = unmeasured > 0 && bestMeasured >= 0;
    const isStrict = routing.sort !== null || (isNext && routing.affinity === null);
    if (isMixed && !isStrict && random() >= 1 - explorationShare) {
      this.#gather(tier, { from: 0, isMeasured: false });
      return { at: this.#any(random), isExplored: true, isSticky: false };
    }
    const from = best - (isStrict ? strictBand : widthOf(routing));
    this.#gather(tier, { from, isMeasured: bestMeasured >= from });
    if (routing.affinity === null) {
      return { at: this.#betterOfTwo(random), isExplored: false, isSticky: false };
    }
    return { at: this.#steadiest(routing.affinity), isExplored: false, isSticky: true };
  }

  /** Notes who of a tier scores at least `from`, of the measured or of the unmeasured. */
  #gather(tier: number, of: { readonly from: number; readonly isMeasured: boolean }): void {
    const measured = of.isMeasured ? 1 : 0;
    this.#near.length = 0;
    for (let at = 0; at < this.size; at++) {
      if (this.#tiersLeft[at] !== tier || this.#measured[at] !== measured) continue;
      if ((this.#scores[at] as number) >= of.from) this.#near.push(at);
    }
  }

  #any(random: () => number): number {
    return this.#near[Math.floor(random() * this.#near.length)] as number;
  }

  /** Two random choices spread load without anyone keeping count (Mitzenmacher, 2001). */
  #betterOfTwo(random: () => number): number {
    const [first, second] = [this.#any(random), this.#any(random)];
    return this.scoreOf(second) > this.scoreOf(first) ? second : first;
  }

  /** S5: the same of the same candidates, and as few changes as can be when some come or go. */
  #steadiest(affinity: string): number {
    const hash = keyHash(affinity);
    let found = this.#near[0] as number;
    let highest = -1;
    for (const at of this.#near) {
      const rank = rendezvousRank(hash, this.#ids[at] as string);
      if (rank <= highest) continue;
      highest = rank;
      found = at;
    }
    return found;
  }

  /** The parts that weigh anything in a candidate's score, each before it is weighed. */
  partsOf(at: number, weights: ScoreWeights): Partial<Record<ScorePart, number>> {
    const parts: Partial<Record<ScorePart, number>> = {};
    for (let part = 0; part < partCount; part++) {
      const name = scoreParts[part] as ScorePart;
      if (weights[name] > 0) parts[name] = rounded(this.#shareOf(part, at));
    }
    return parts;
  }

  #scorePart(part: number, weight: number): void {
    const column = this.#columns[part] as Float64Array;
    const { size } = this;
    const tiersLeft = this.#tiersLeft;
    let least = Infinity;
    let most = 0;
    for (let at = 0; at < size; at++) {
      if (tiersLeft[at] === outTier) continue;
      const value = column[at] as number;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    this.#least[part] = least;
    this.#most[part] = most;
    // Nobody knows anything: all count 0 (S2).
    if (least === Infinity) return;
    const scores = this.#scores;
    const floor = floors[part] as number;
    const unknown = this.#unknownShare(part);
    // Written out, as 400 candidates have 2,800 shares.
    for (let at = 0; at < size; at++) {
      if (tiersLeft[at] === outTier) continue;
      const value = column[at] as number;
      let share: number;
      if (value !== value) share = this.#measured[at] === 1 ? unknown : 0;
      else if (floor >= 0) share = (least + floor) / (value + floor);
      else share = most > 0 ? value / most : 1;
      scores[at] = (scores[at] as number) + weight * share;
    }
  }

  /** S1 and S2 for one part of one candidate. */
  #shareOf(part: number, at: number): number {
    const value = (this.#columns[part] as Float64Array)[at] as number;
    const least = this.#least[part] as number;
    const most = this.#most[part] as number;
    // Not a number: unknown.
    if (value !== value) return this.#measured[at] === 1 ? this.#unknownShare(part) : 0;
    const floor = floors[part] as number;
    if (floor >= 0) return (least + floor) / (value + floor);
    return most > 0 ? value / most : 1;
  }

  /** S2: what counts for a measured candidate of whom a part is not known. */
  #unknownShare(part: number): number {
    const most = this.#most[part] as number;
    return part === throughputAt && most > 0 ? (this.#least[part] as number) / most : 0;
  }

  #grow(): void {
    const capacity = Math.max(1, this.#scores.length * 2);
    const copy = <T extends Float64Array | Uint8Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.#columns = this.#columns.map((column) => copy(new Float64Array(capacity), column));
    this.#scores = copy(new Float64Array(capacity), this.#scores);
    this.#tiers = copy(new Uint8Array(capacity), this.#tiers);
    this.#tiersLeft = copy(new Uint8Array(capacity), this.#tiersLeft);
    this.#measured = copy(new Uint8Array(capacity), this.#measured);
  }
}

function widthOf({ affinity }: Pick<Routing, "affinity">): number {
  return affinity === null ? nearBand : stickyBand;
}

/** Three digits tell scores apart. */
export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
