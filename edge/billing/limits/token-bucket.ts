/**
 * Buckets that refill over a minute, counted exactly: in sixty-thousandths, so that what flows in
 * within a millisecond is a whole number whatever the limit is. A refill is never cut to nothing,
 * however often the bucket is looked at.
 */
export interface Bucket {
  readonly parts: number;
  readonly atMs: number;
}

const partsOfOne = 60_000;
const minuteMs = 60_000;

/** The bucket as it is now; one that nobody remembers is full. */
export function refilled(bucket: Bucket | null, perMinute: number, nowMs: number): Bucket {
  const full = perMinute * partsOfOne;
  if (bucket === null) return { parts: full, atMs: nowMs };
  // A clock that was set back gives nothing, and does not stop the bucket until it has caught up.
  const elapsedMs = Math.min(Math.max(0, nowMs - bucket.atMs), 2 * minuteMs);
  return { parts: Math.min(full, bucket.parts + elapsedMs * perMinute), atMs: nowMs };
}

export function takeFrom({ parts, atMs }: Bucket, count: number): Bucket {
  return { parts: parts - count * partsOfOne, atMs };
}

/** Whole ones in the bucket. */
export function countIn({ parts }: Bucket): number {
  return Math.max(0, Math.floor(parts / partsOfOne));
}

/** Until so many are in the bucket, if nobody takes any; 0 where they are. */
export function waitMs({ parts }: Bucket, count: number, perMinute: number): number {
  return Math.max(0, Math.ceil((count * partsOfOne - parts) / perMinute));
}

export function isFull({ parts }: Bucket, perMinute: number): boolean {
  return parts >= perMinute * partsOfOne;
}
