import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newcomerReputation, reputationOf } from "../../../edge/hub/routing/reputation.ts";

describe("a worker's reputation", () => {
  test("is in the middle before anything is known, and moves with what is measured", () => {
    expect(reputationOf([])).toBe(newcomerReputation);
    const good = [1, 10, 90].map((samples) => reputationOf([{ successShare: 1, samples }]));
    expect(good.map(Math.round)).toEqual([55, 75, 95]);
    const bad = [1, 10, 90].map((samples) => reputationOf([{ successShare: 0, samples }]));
    expect(bad.map(Math.round)).toEqual([45, 25, 5]);
  });

  test("counts every model by how often it was asked", () => {
    const speeds = [
      { successShare: 1, samples: 30 },
      { successShare: 0, samples: 10 },
    ];
    expect(reputationOf(speeds)).toBe((100 * (30 + 5)) / (40 + 10));
  });

  test("is from 0 to 100, and no success lowers it", () => {
    const speeds = fc.array(
      fc.record({
        successShare: fc.double({ min: 0, max: 1, noNaN: true }),
        samples: fc.nat(1_000),
      }),
      { maxLength: 64 },
    );
    fc.assert(
      fc.property(speeds, fc.nat(63), (all, at) => {
        const before = reputationOf(all);
        expect(before).toBeGreaterThanOrEqual(0);
        expect(before).toBeLessThanOrEqual(100);
        const better = all.map((one, index) => (index === at ? { ...one, successShare: 1 } : one));
        expect(reputationOf(better)).toBeGreaterThanOrEqual(before - 1e-9);
      }),
    );
  });
});
