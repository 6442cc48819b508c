import type { Listing } from "../../../shared/protocol/listing.ts";
import { isBaseAbility, type Probe, probesFor } from "./preflight.ts";
import { isStale, type Verdict } from "../sessions/worker-memory.ts";

/**
 * What is asked of a claim that was borne out: what was struck of it, or else one or two of its
 * probes drawn by chance. Null where all of it has to be probed.
 */
export function someProbes(
  listing: Listing,
  verdict: Verdict,
  { nowMs, random }: { readonly nowMs: number; readonly random: () => number },
): Probe[] | null {
  const struck = new Set(verdict.struck.map(({ ability }) => ability));
  const isWhole = verdict.refused !== null || isStale(verdict, nowMs);
  // What needs an ability that opens an endpoint was not probed without it.
  if (isWhole || verdict.struck.some(({ ability }) => isBaseAbility(ability))) return null;
  const probes = probesFor(listing, random);
  if (struck.size > 0) return probes.filter(({ aim }) => struck.has(aim));
  const count = 1 + Math.floor(random() * 2);
  while (probes.length > count) probes.splice(Math.floor(random() * probes.length), 1);
  return probes;
}
