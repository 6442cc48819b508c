import type { Routing } from "../../../shared/openai/routing.ts";
import type { ScorePart } from "../../../shared/openai/strategies.ts";
import { reputationVersion } from "./reputation.ts";
import { rounded, type Scoreboard } from "./scoreboard.ts";

/** Why a worker could not serve a task. */
export const exclusions = [
  "tried",
  "model",
  "own",
  "ability",
  "context",
  "class",
  "quantization",
  "identity",
  "price",
  "region",
  "exclude",
  "include",
  "reputation",
  "draining",
  "no_credit",
] as const;
export type Exclusion = (typeof exclusions)[number];

export type Excluded = Partial<Record<Exclusion, number>>;

/** A candidate and how it was scored: the score is the parts by the weights. */
export interface ScoredCandidate {
  readonly workerId: string;
  readonly score: number;
  readonly parts: Partial<Record<ScorePart, number>>;
  /** It has only ever failed: chosen where there is no other. */
  readonly isFailing: boolean;
}

export interface ExclusionExample {
  readonly workerId: string;
  readonly reason: Exclusion;
}

/** Kept with the task, so that anyone can ask afterwards why this worker. */
export interface RouteExplanation {
  readonly strategy: Routing["strategy"];
  /** Those over 0. */
  readonly weights: Partial<Record<ScorePart, number>>;
  readonly sort: Routing["sort"];
  readonly reputationVersion: number;
  readonly considered: number;
  readonly excluded: Excluded;
  readonly excludedExamples: readonly ExclusionExample[];
  /** The best by score, at most ten. */
  readonly candidates: readonly ScoredCandidate[];
  readonly workerId: string;
  /** Only workers of the consumer's own account could be chosen, for whom it costs nothing. */
  readonly ownOnly: boolean;
  /** It was drawn to be measured, whatever it scores. */
  readonly explored: boolean;
  /** It was near the best and has served what begins alike. */
  readonly sticky: boolean;
  readonly inputMicrosPerMillion: number;
  readonly outputMicrosPerMillion: number;
}

/** More than these are no explanation any more. */
export const explainedMax = 10;

/** What every choice for these routing demands says of itself. */
export function routingSaid({
  strategy,
  weights,
  sort,
}: Routing): Pick<RouteExplanation, "strategy" | "weights" | "sort" | "reputationVersion"> {
  const said: Partial<Record<ScorePart, number>> = {};
  for (const part in weights) {
    const weight = weights[part as ScorePart];
    if (weight > 0) said[part as ScorePart] = rounded(weight);
  }
  return { strategy, weights: said, sort, reputationVersion };
}

/** The best of a board by score, without sorting the rest. */
export function bestOf(
  board: Scoreboard,
  routing: Routing,
  workerId: (at: number) => string,
): ScoredCandidate[] {
  const best: number[] = [];
  const rank = (at: number) => board.scoreOf(at) - board.tierOf(at);
  for (let at = 0; at < board.size; at++) {
    const last = best[explainedMax - 1];
    if (last !== undefined && rank(at) <= rank(last)) continue;
    let place = Math.min(best.length, explainedMax - 1);
    while (place > 0 && rank(at) > rank(best[place - 1] as number)) {
      best[place] = best[place - 1] as number;
      place -= 1;
    }
    best[place] = at;
  }
  return best.map((at) => ({
    workerId: workerId(at),
    score: rounded(board.scoreOf(at)),
    parts: board.partsOf(at, routing.weights),
    isFailing: board.tierOf(at) > 0,
  }));
}
