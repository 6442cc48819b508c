import { describeError } from "../../shared/log.ts";
import type { Context } from "../context.ts";
import { edgeLog } from "../log.ts";
import { directoryObject } from "../objects.ts";
import { type Region, regionsByDistance } from "../../shared/regions.ts";
import type { HubDigest } from "./digest.ts";
import { digestTtlMs, viewUsableMs } from "./directory-state.ts";
import { unpackDigests } from "./packed-view.ts";

/** Hubs publish at most once a second, so asking more often tells nothing new. */
const freshMs = 1_000;

/**
 * Even who wants it at once takes a view this young: requests for models nobody has must not flood
 * directories.
 */
const atOnceMs = 100;

interface View {
  readonly digests: readonly HubDigest[];
  readonly atMs: number;
  /** Another request is fetching a newer one until then. */
  refreshUntilMs: number;
}

/** At most one view a region: nine, of the hubs that each directory holds. */
const viewByRegion = new Map<Region, View>();

/** Regions whose directory did not answer when it was asked last. */
const silentRegions = new Set<Region>();

/** Workers of a hub that restarted are back within seconds, those of a machine within a minute. */
const missedMs = 60_000;

/** Hubs as they were before they lost models, and when they did. */
const missedByHubId = new Map<string, { readonly digest: HubDigest; readonly atMs: number }>();

/** When a call met a hub that was gone. Bounded by the hubs there were within a digest's life. */
const goneMsByHubId = new Map<string, number>();

/**
 * The living hubs of each view, until others are gone: what named-offers.ts finds in a view, it
 * keeps with that very list.
 */
let livingByView = new WeakMap<readonly HubDigest[], readonly HubDigest[]>();

/**
 * What this isolate knows of a region's hubs. Once warm nobody waits: a request that meets an old
 * view uses it and fetches the next one behind its own back. `atOnce` waits for a new one.
 */
export async function viewOf(
  ctx: Context,
  region: Region,
  atOnce = false,
): Promise<readonly HubDigest[]> {
  const nowMs = Date.now();
  const view = viewByRegion.get(region);
  const wantedMs = atOnce ? atOnceMs : viewUsableMs;
  if (view === undefined || nowMs - view.atMs > wantedMs) return refresh(ctx, region);
  if (nowMs - view.atMs > freshMs && nowMs > view.refreshUntilMs) {
    view.refreshUntilMs = nowMs + freshMs;
    ctx.waitUntil(refresh(ctx, region));
  }
  return view.digests;
}

/**
 * The views of all regions, the consumer's own first and the others by distance. All are asked for
 * at once; each is there as soon as its own directory has answered, so the nearest need not wait
 * for the farthest.
 */
export function viewsByDistance(
  ctx: Context,
  atOnce = false,
): readonly Promise<readonly HubDigest[]>[] {
  const views = regionsByDistance(ctx.region).map((region) => viewOf(ctx, region, atOnce));
  // Whoever has found what it wants leaves the rest: their failures are then nobody's.
  for (const view of views) ctx.waitUntil(view.catch(() => []));
  return views;
}

/** Whether a region's hubs are not known just now: what is seen of the network is not all of it. */
export function isPartOfTheNetworkUnknown(): boolean {
  return silentRegions.size > 0;
}

/** Hubs that have lost models within the last minute, as they were before. */
export function digestsOfBefore(): readonly HubDigest[] {
  const sinceMs = Date.now() - missedMs;
  return [...missedByHubId.values()]
    .filter(({ atMs }) => atMs > sinceMs)
    .map(({ digest }) => digest);
}

/** The hubs of all regions, the consumer's own first. */
export async function viewOfAll(ctx: Context, atOnce = false): Promise<readonly HubDigest[]> {
  const views = await Promise.all(viewsByDistance(ctx, atOnce));
  return views.flat();
}

/**
 * A call to this hub has found it gone: until it says something newer, its digest is a dead hub's,
 * and the directory will take a while to notice.
 */
export function forgetHub(hubId: string): void {
  goneMsByHubId.set(hubId, Date.now());
  livingByView = new WeakMap();
}

/** The hubs of a view that no call has found gone. */
export function livingHubs(digests: readonly HubDigest[]): readonly HubDigest[] {
  if (goneMsByHubId.size === 0) return digests;
  const nowMs = Date.now();
  for (const [hubId, goneMs] of goneMsByHubId) {
    if (nowMs - goneMs <= digestTtlMs) continue;
    goneMsByHubId.delete(hubId);
    livingByView = new WeakMap();
  }
  const known = livingByView.get(digests);
  if (known !== undefined) return known;
  const living = digests.filter(({ hubId, atMs }) => atMs > (goneMsByHubId.get(hubId) ?? 0));
  livingByView.set(digests, living);
  return living;
}

/** A region whose directory does not answer is known by what it said last, or not at all. */
async function refresh(ctx: Context, region: Region): Promise<readonly HubDigest[]> {
  try {
    const digests = unpackDigests(await directoryObject(ctx.env, region).view());
    noteMissed(viewByRegion.get(region)?.digests ?? [], digests);
    viewByRegion.set(region, { digests, atMs: Date.now(), refreshUntilMs: 0 });
    silentRegions.delete(region);
    return digests;
  } catch (error) {
    edgeLog("warn", "a directory does not answer", { region, error: describeError(error) });
    silentRegions.add(region);
    return viewByRegion.get(region)?.digests ?? [];
  }
}

/** Compares a view with the next one. */
function noteMissed(last: readonly HubDigest[], next: readonly HubDigest[]): void {
  const nowMs = Date.now();
  for (const [hubId, { atMs }] of missedByHubId) {
    if (nowMs - atMs > missedMs) missedByHubId.delete(hubId);
  }
  const modelsByHubId = new Map(next.map(({ hubId, models }) => [hubId, models.length]));
  for (const digest of last) {
    const { hubId, models } = digest;
    const known = missedByHubId.get(hubId)?.digest.models.length ?? 0;
    const isLess = (modelsByHubId.get(hubId) ?? 0) < models.length;
    if (isLess && models.length >= known) missedByHubId.set(hubId, { digest, atMs: nowMs });
  }
}
