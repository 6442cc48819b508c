import type { EngineModel } from "./engine.ts";

/**
 * How many bits a weight takes: the size of the weights over the number of parameters, so that
 * FP16 is 16, INT8 about half and INT4 about a quarter of it. Null where either is unknown.
 */
export function bitsPerWeight({
  weightBytes,
  parameterCount,
}: Pick<EngineModel, "weightBytes" | "parameterCount">): number | null {
  if (weightBytes === null || parameterCount === 0) return null;
  return Math.round((80 * weightBytes) / parameterCount) / 10;
}
