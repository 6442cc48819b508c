/** How long a model takes to its first token, by what this hub has seen of all its workers. */
export interface FirstTokenTimes {
  /** By the digest of the weights, the least recently seen first. */
  readonly byDigest: Map<string, Seen>;
}

interface Seen {
  readonly ms: number[];
  /** Where the next one goes, once there are as many as are kept. */
  next: number;
  /** The longest request among them: a longer one may take longer. */
  charsMax: number;
}

/** Enough for a 95th percentile that three odd ones do not move. */
const keptMax = 64;
/** Fewer tell nothing about one in twenty. */
const samplesMin = 20;
/** A hub's workers have a few dozen models at most. */
const digestsMax = 256;

export function createFirstTokenTimes(): FirstTokenTimes {
  return { byDigest: new Map() };
}

export function noteFirstToken(
  times: FirstTokenTimes,
  of: { readonly digest: string; readonly ms: number; readonly bodyChars: number },
): void {
  const { byDigest } = times;
  const seen = byDigest.get(of.digest) ?? { ms: [], next: 0, charsMax: 0 };
  byDigest.delete(of.digest);
  byDigest.set(of.digest, seen);
  seen.ms[seen.next] = of.ms;
  seen.next = (seen.next + 1) % keptMax;
  seen.charsMax = Math.max(seen.charsMax, of.bodyChars);
  const [oldest] = byDigest.keys();
  if (byDigest.size > digestsMax && oldest !== undefined) byDigest.delete(oldest);
}

/**
 * Milliseconds within which 95 of 100 first tokens have come; null where too few were seen, or none
 * of a request as long as this one.
 */
export function firstTokenP95(
  times: FirstTokenTimes,
  of: { readonly digest: string; readonly bodyChars: number },
): number | null {
  const seen = times.byDigest.get(of.digest);
  if (seen === undefined || seen.ms.length < samplesMin || of.bodyChars > seen.charsMax) {
    return null;
  }
  const sorted = seen.ms.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? null;
}
