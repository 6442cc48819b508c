import { assert } from "../../shared/assert.ts";

/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A set of bytes, kept as ranges that neither overlap nor touch, in their order. */
export class ByteRanges {
  #ranges: ByteRange[] = [];
  #bytes = 0;

  constructor(ranges: readonly ByteRange[] = []) {
    for (const range of ranges) this.add(range);
  }

  /** How many bytes are in it. */
  get bytes(): number {
    return this.#bytes;
  }

  get ranges(): readonly ByteRange[] {
    return this.#ranges;
  }

  add(range: ByteRange): void {
    assert(range.start <= range.end, "a range ends where it begins or later");
    if (range.start === range.end) return;
    let { start, end } = range;
    const before = this.#ranges.filter((one) => one.end < start);
    const after = this.#ranges.filter((one) => one.start > end);
    for (const one of this.#ranges.slice(before.length, this.#ranges.length - after.length)) {
      start = Math.min(start, one.start);
      end = Math.max(end, one.end);
    }
    this.#ranges = [...before, { start, end }, ...after];
    this.#bytes = this.#ranges.reduce((sum, one) => sum + one.end - one.start, 0);
  }

  /** The first bytes below `limit` that are neither in this set nor in `others`; null for none. */
  firstGap(limit: number, others: readonly ByteRange[] = []): ByteRange | null {
    const taken = new ByteRanges([...this.#ranges, ...others]).ranges;
    let start = 0;
    for (const one of taken) {
      if (one.start > start) return start < limit ? clipped(start, one.start, limit) : null;
      start = Math.max(start, one.end);
    }
    return start < limit ? { start, end: limit } : null;
  }
}

function clipped(start: number, end: number, limit: number): ByteRange {
  return { start, end: Math.min(end, limit) };
}
