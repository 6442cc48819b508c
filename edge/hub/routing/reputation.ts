import type { MeasuredSpeed } from "../sessions/worker-memory.ts";

/** Raised whenever the same measurements come to another reputation. */
export const reputationVersion = 1;

/** What a worker has before anything was measured of it: the middle. */
export const newcomerReputation = 50;
/** Ten attempts of a newcomer weigh as much as the doubt it is met with. */
const doubtSamples = 10;
/** A success share is a moving average (worker-memory.ts): more samples than this are forgotten. */
const samplesMax = 90;

/**
 * How far a worker can be relied on, from 0 to 100, by what its hub has measured: the share of
 * attempts that it did not fail, over all its models, smoothed towards the middle while they are
 * few. The best that can be reached is 95, with 90 samples or more.
 */
export function reputationOf(
  speeds: readonly Pick<MeasuredSpeed, "successShare" | "samples">[],
): number {
  let succeeded = (newcomerReputation / 100) * doubtSamples;
  let counted = doubtSamples;
  for (const { successShare, samples } of speeds) {
    const known = Math.min(samples, samplesMax);
    succeeded += successShare * known;
    counted += known;
  }
  return (100 * succeeded) / counted;
}
