import { slotsMax } from "../../shared/protocol/limits.ts";
import type { Serving, SessionState } from "./session.ts";

/**
 * The slots of listed models that no attempt holds, as far as one worker may grant. An attempt of a
 * model that is not listed any more takes nothing from the others (S7).
 */
export function freeSlots(state: SessionState, serving: Serving): number {
  const listed = new Set(serving.listed ?? []);
  const runningByModel = new Map<string, number>();
  for (const model of state.modelsByAttempt.values()) {
    runningByModel.set(model, (runningByModel.get(model) ?? 0) + 1);
  }
  let free = 0;
  for (const { model, slots } of state.listings) {
    if (listed.has(model)) free += Math.max(0, slots - (runningByModel.get(model) ?? 0));
  }
  return Math.max(0, Math.min(free, slotsMax - state.modelsByAttempt.size));
}

/**
 * The slots to grant now: those that neither an attempt holds nor the hub may already fill. What
 * was granted for a model that was withdrawn since counts until the hub uses it up.
 */
export function slotsToGrant(state: SessionState, serving: Serving): number {
  if (state.drain !== null) return 0;
  return Math.max(0, freeSlots(state, serving) - serving.credits);
}
