import type { Context } from "../context.ts";
import { directoryObject } from "../objects.ts";
import { type Region, regions } from "../../shared/regions.ts";
import type { HubDigest } from "./digest.ts";

/** Hubs publish at most once a second, so asking more often tells nothing new. */
const freshMs = 1_000;
/** A view older than this is not routed by: its hubs may have died since. */
const usableMs = 15_000;

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

const viewByRegion = new Map<Region, View>();

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
  const wantedMs = atOnce ? atOnceMs : usableMs;
  if (view === undefined || nowMs - view.atMs > wantedMs) return refresh(ctx, region);
  if (nowMs - view.atMs > freshMs && nowMs > view.refreshUntilMs) {
    view.refreshUntilMs = nowMs + freshMs;
    ctx.waitUntil(refresh(ctx, region));
  }
  return view.digests;
}

/** The hubs of all regions, the consumer's own first. */
export async function viewOfAll(ctx: Context, atOnce = false): Promise<readonly HubDigest[]> {
  const others = regions.filter((region) => region !== ctx.region);
  const views = await Promise.all(
    [ctx.region, ...others].map((region) => viewOf(ctx, region, atOnce)),
  );
  return views.flat();
}

async function refresh(ctx: Context, region: Region): Promise<readonly HubDigest[]> {
  const digests = await directoryObject(ctx.env, region).digests();
  viewByRegion.set(region, { digests, atMs: Date.now(), refreshUntilMs: 0 });
  return digests;
}
