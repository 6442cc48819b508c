import { median, quantile } from "../figure.ts";
import type { LoadClient, LoadResult } from "../load/load.ts";
import type { StreamRequest } from "../load/reply.ts";

/** Ours, and what it is held against. */
export type Side = "edge" | "other";

export type Compared = Record<Side, LoadResult[]>;

export interface Comparison {
  readonly sides: Record<Side, StreamRequest>;
  readonly concurrency: number;
  /** Rounds alternate between the two, so that a slow minute of the machine hits both. */
  readonly rounds: number;
  readonly roundMs: number;
}

/** Both sides under the same load by turns, warmed up by a round each. */
export async function compare(
  client: LoadClient,
  { sides, concurrency, rounds, roundMs }: Comparison,
): Promise<Compared> {
  const results: Compared = { edge: [], other: [] };
  const load = { concurrency, durationMs: roundMs };
  for (const side of ["other", "edge"] as const) await client.run({ ...sides[side], ...load });
  for (let round = 0; round < rounds; round++) {
    for (const side of ["other", "edge"] as const) {
      const result = await client.run({ ...sides[side], ...load });
      const { failures, failure } = result;
      if (failures > 0) throw new Error(`${side}: ${failures} requests failed: ${failure}`);
      results[side].push(result);
    }
  }
  return results;
}

export function repliesPerS(results: readonly LoadResult[]): number {
  return median(results.map(rateOf));
}

/** Round by round: neighbours in time met the same machine. */
export function ratioOf({ edge, other }: Compared): number {
  const ratios = edge.map((result, round) => {
    const beside = other[round];
    return beside === undefined ? Number.NaN : rateOf(result) / rateOf(beside);
  });
  return median(ratios);
}

/** A quantile of the first byte's time: each round's, and of these the median. */
export function firstByteMs(results: readonly LoadResult[], q: number): number {
  return median(results.map((result) => quantile(result.firstByteMs, q)));
}

function rateOf({ replies, seconds }: LoadResult): number {
  return replies / seconds;
}
