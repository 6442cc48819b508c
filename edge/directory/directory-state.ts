import type { Region } from "../../shared/regions.ts";
import type { HubDigest } from "./digest.ts";

/**
 * Which hubs of a region are alive. Soft: a hub that says nothing for a while is dropped, and a
 * directory that lost its memory has it back with the hubs' next digests.
 */
export interface DirectoryState {
  readonly region: Region;
  readonly digests: Map<string, HubDigest>;
}

/**
 * A hub repeats its digest every 15 s even where nothing changes; three of those missing are death.
 */
export const digestTtlMs = 45_000;

export function createDirectoryState(region: Region): DirectoryState {
  return { region, digests: new Map() };
}

export function putDigest(state: DirectoryState, digest: HubDigest): void {
  const known = state.digests.get(digest.hubId);
  if (known === undefined || known.atMs <= digest.atMs) state.digests.set(digest.hubId, digest);
}

/** The digests of hubs that are alive. */
export function liveDigests(state: DirectoryState, nowMs: number): HubDigest[] {
  for (const [hubId, digest] of state.digests) {
    if (nowMs - digest.atMs > digestTtlMs) state.digests.delete(hubId);
  }
  return [...state.digests.values()];
}

/**
 * The hub a new worker joins: the fullest one with room, so that few hubs stay awake; else the next
 * number.
 */
export function hubForWorker(state: DirectoryState, nowMs: number): string {
  const live = liveDigests(state, nowMs);
  const roomy = live
    .filter((digest) => digest.sessions < digest.sessionsMax)
    .toSorted((a, b) => b.sessions - a.sessions || (a.hubId < b.hubId ? -1 : 1));
  if (roomy[0] !== undefined) return roomy[0].hubId;
  const taken = new Set(live.map((digest) => digest.hubId));
  let shard = 0;
  while (taken.has(`${state.region}:${shard}`)) shard += 1;
  return `${state.region}:${shard}`;
}
