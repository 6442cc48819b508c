import { describe, expect, test } from "vitest";
import { keyHash, rendezvousRank } from "../../../edge/hub/routing/rendezvous.ts";

function winner(key: string, ids: readonly string[]): string {
  const hash = keyHash(key);
  return ids.toSorted((a, b) => rendezvousRank(hash, b) - rendezvousRank(hash, a))[0] ?? "";
}

describe("rendezvous hashing", () => {
  const ids = Array.from({ length: 20 }, (_, at) => `weur:${at}`);
  const keys = Array.from({ length: 4_000 }, (_, at) => `key ${at}`);

  test("gives everyone about the same share, also of ids that differ in a digit", () => {
    const counts = new Map<string, number>();
    for (const key of keys) {
      const id = winner(key, ids);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    // 200 each on average; five standard deviations are 69.
    for (const id of ids) expect(Math.abs((counts.get(id) ?? 0) - 200)).toBeLessThan(69);
  });

  test("moves only the keys of whoever goes", () => {
    const [gone, ...left] = ids;
    for (const key of keys.slice(0, 500)) {
      const before = winner(key, ids);
      if (before !== gone) expect(winner(key, left)).toBe(before);
    }
  });
});
