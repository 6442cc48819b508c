import { assert } from "../../shared/assert.ts";
import { isRegion, type Region } from "../../shared/regions.ts";

/** A hub's name: its region and its number there. */
export function hubName(region: Region, shard: number): string {
  return `${region}:${shard}`;
}

/** The number of a hub of this region, or null where the name is none. */
export function shardOf(hubId: string, region: Region): number | null {
  const [of, number = "", ...more] = hubId.split(":");
  if (of !== region || more.length > 0 || !/^(0|[1-9]\d{0,5})$/.test(number)) return null;
  return Number(number);
}

/** The region in a hub's name, `region:shard`. */
export function regionOfHub(hubId: string): Region {
  const [region] = hubId.split(":");
  assert(isRegion(region), `the hub ${hubId} names a region`);
  return region;
}
