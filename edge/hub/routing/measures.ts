import { type Class, classes } from "../../../shared/protocol/listing.ts";

/** What stays of one candidate from task to task; null where it is not known. */
export interface Measures {
  readonly inputMicrosPerMillion: number;
  readonly outputMicrosPerMillion: number;
  readonly firstTokenMs: number | null;
  readonly tokensPerS: number | null;
  readonly reputation: number;
  readonly roundTripMs: number | null;
  readonly successShare: number | null;
  readonly bitsPerWeight: number | null;
  readonly secrecy: number;
  /** Whether anything was measured of it. */
  readonly isMeasured: boolean;
  /** 0 is best (S3). */
  readonly tier: number;
  /** What rendezvous hashing knows it by. */
  readonly id: string;
}

/** What is another for every task. */
export interface Moment {
  /** Free slots over all slots, at most 1. */
  readonly freeShare: number;
  /** From the consumer to the hub. */
  readonly km: number;
}

/** Light in fibre goes 200 km in a millisecond, and an answer's way is there and back. */
const fibreKmPerMs = 100;
/** For workers whose hub has forgotten how far they are: about the longest way inside a region. */
const roundTripUnknownMs = 100;

/** Milliseconds from consumer to worker and back: so far by the map, from the hub as measured. */
export function wayMs(km: number, roundTripMs: number | null): number {
  return km / fibreKmPerMs + (roundTripMs ?? roundTripUnknownMs);
}

/** The class first; among equals whoever has read the files of its model knows what answers. */
export function secrecyOf(ceiling: Class, identity: "content" | "declared"): number {
  return 1 + 2 * classes.indexOf(ceiling) + (identity === "content" ? 1 : 0);
}
