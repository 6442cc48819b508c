import { isRegion } from "../../shared/regions.ts";

/**
 * Where an event of a stream stands: the hub that has it and its place in the answer, so that
 * `Last-Event-ID` alone finds both (HTML standard, server-sent events, section 9.2.4).
 */
export interface EventId {
  /** `region:shard`. */
  readonly hubId: string;
  /** The first event of an answer is 1. */
  readonly place: number;
}

export function formatEventId({ hubId, place }: EventId): string {
  return `${hubId}:${place}`;
}

/** The id behind a text from outside, or null. Place 0 is before the first event. */
export function parseEventId(text: string): EventId | null {
  const match = /^([a-z]{2,4}):(\d{1,5}):(\d{1,9})$/.exec(text);
  const [, region, shard, place] = match ?? [];
  if (!isRegion(region)) return null;
  return { hubId: `${region}:${Number(shard)}`, place: Number(place) };
}
