import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ByteRanges } from "../../../worker-agent/models/byte-ranges.ts";

const someRanges = fc.array(
  fc
    .tuple(fc.nat(60), fc.nat(20))
    .map(([start, length]): { start: number; end: number } => ({ start, end: start + length })),
);

function members(ranges: readonly { start: number; end: number }[]): Set<number> {
  const found = new Set<number>();
  for (const { start, end } of ranges) for (let at = start; at < end; at++) found.add(at);
  return found;
}

test("ranges added in any order hold each byte once, in order, and never touch", () => {
  fc.assert(
    fc.property(someRanges, (added) => {
      const set = new ByteRanges(added);
      expect(members(set.ranges)).toEqual(members(added));
      expect(set.bytes).toBe(members(added).size);
      for (const [at, range] of set.ranges.entries()) {
        expect(range.start).toBeLessThan(range.end);
        expect(range.start).toBeGreaterThan(set.ranges[at - 1]?.end ?? -1);
      }
    }),
  );
});

test("the first gap begins at the first byte that nobody has, and ends where somebody has one", () => {
  fc.assert(
    fc.property(someRanges, someRanges, fc.nat(90), (added, others, limit) => {
      const taken = members([...added, ...others]);
      const gap = new ByteRanges(added).firstGap(limit, others);
      const first = Array.from({ length: limit }, (_, at) => at).find((at) => !taken.has(at));
      expect(gap?.start).toBe(first);
      if (gap === null) return;
      expect(gap.end).toBeLessThanOrEqual(limit);
      for (let at = gap.start; at < gap.end; at++) expect(taken.has(at)).toBe(false);
      expect(gap.end === limit || taken.has(gap.end)).toBe(true);
    }),
  );
});
