import { type Arbitrary, array, assert, boolean, nat, property, record } from "fast-check";
import { expect, test } from "vitest";
import {
  createDirectoryState,
  type DirectoryState,
  liveDigests,
  placeWorker,
  putDigest,
  sparseMs,
} from "../../../edge/directory/directory-state.ts";

/*
 * A region in small: hubs that tell their digests every second, a directory that hears of them
 * late, and workers that come, leave and are sent elsewhere, second by second.
 */

const sessionsMax = 8;
const dialsMax = 3;

interface SmallHub {
  workers: number;
  isMoving: boolean;
}

class SmallRegion {
  nowMs = 0;
  refused = 0;
  sentAway = 0;
  directory: DirectoryState = createDirectoryState("weur", 0);
  readonly hubs = new Map<string, SmallHub>();

  get workers(): number {
    let workers = 0;
    for (const hub of this.hubs.values()) workers += hub.workers;
    return workers;
  }

  join(lastHubId: string | null = null): void {
    const fullHubIds: string[] = [];
    while (fullHubIds.length < dialsMax) {
      const hubId = placeWorker(this.directory, { lastHubId, fullHubIds }, this.nowMs);
      const hub = this.#hub(hubId);
      if (hub.workers < sessionsMax && !hub.isMoving) {
        hub.workers += 1;
        return;
      }
      fullHubIds.push(hubId);
    }
    this.refused += 1;
  }

  leave(choice: number): void {
    const taken = [...this.hubs.values()].filter(({ workers }) => workers > 0);
    const hub = taken[choice % Math.max(1, taken.length)];
    if (hub !== undefined) hub.workers -= 1;
  }

  /** A second: every hub tells its digest, and whoever is told to move does. */
  second(): void {
    this.nowMs += 1_000;
    const moved: string[] = [];
    for (const [hubId, hub] of this.hubs) {
      if (hub.workers === 0) hub.isMoving = false;
      const { workers: sessions, isMoving } = hub;
      const atMs = this.nowMs;
      const digest = { hubId, atMs, sessions, sessionsMax, isMoving, models: [] };
      const advice = putDigest(this.directory, { region: "weur", ...digest }, this.nowMs);
      if (sessions === 0) this.hubs.delete(hubId);
      else if (advice === "move" && !isMoving) {
        hub.isMoving = true;
        moved.push(hubId);
      }
    }
    for (const hubId of moved) {
      const hub = this.#hub(hubId);
      this.sentAway += hub.workers;
      for (; hub.workers > 0; hub.workers -= 1) this.join();
    }
  }

  #hub(hubId: string): SmallHub {
    const known = this.hubs.get(hubId);
    if (known !== undefined) return known;
    const hub = { workers: 0, isMoving: false };
    this.hubs.set(hubId, hub);
    return hub;
  }
}

interface Second {
  readonly joins: number;
  readonly leaves: readonly number[];
  /** The directory loses its memory. */
  readonly isReset: boolean;
}

const secondArbitrary: Arbitrary<Second> = record({
  joins: nat({ max: 12 }),
  leaves: array(nat({ max: 1_000 }), { maxLength: 6 }),
  isReset: boolean(),
});

function live(region: SmallRegion, seconds: readonly Second[]): void {
  for (const { joins, leaves, isReset } of seconds) {
    for (let join = 0; join < joins; join++) region.join();
    for (const choice of leaves) region.leave(choice);
    if (isReset && joins === 0) region.directory = createDirectoryState("weur", region.nowMs);
    region.second();
    for (const { workers } of region.hubs.values())
      expect(workers).toBeLessThanOrEqual(sessionsMax);
  }
}

test("no worker is refused while the directory remembers, and no hub is ever too full", () => {
  const seconds = array(secondArbitrary.map((second) => ({ ...second, isReset: false })));
  assert(
    property(seconds, (all) => {
      const region = new SmallRegion();
      live(region, all);
      expect(region.refused).toBe(0);
    }),
  );
});

/** Four hubs that fill, and lose half of their workers: some of them are sure to merge. */
const thinned: readonly Second[] = [
  ...Array.from({ length: 3 }, () => ({ joins: 12, leaves: [], isReset: false })),
  ...Array.from({ length: 3 }, () => ({ joins: 0, leaves: [0, 1, 2, 3, 0, 1], isReset: false })),
];

test("once nobody comes or leaves, hubs merge to few, and then all is still", () => {
  let merged = 0;
  const seconds: Arbitrary<readonly Second[]> = array(secondArbitrary, { maxLength: 40 });
  assert(
    property(seconds, (all) => {
      const region = new SmallRegion();
      live(region, all);
      const { workers, sentAway, refused } = region;
      const calm = () => {
        for (let ms = 0; ms < sparseMs + 20_000; ms += 1_000) region.second();
      };
      // Each round at least halves what can still be merged.
      for (let round = 0; round < 8; round++) calm();
      expect(region.workers).toBe(workers);
      expect(region.refused).toBe(refused);
      const settled = region.sentAway;
      const hubs = liveDigests(region.directory, region.nowMs).map(({ hubId }) => hubId);
      calm();
      calm();
      expect(region.sentAway).toBe(settled);
      expect(liveDigests(region.directory, region.nowMs).map(({ hubId }) => hubId)).toEqual(hubs);
      // No two are left that fit in 60 % of one.
      const left = [...region.hubs.values()].map((hub) => hub.workers).toSorted((a, b) => a - b);
      const [least = sessionsMax, next = sessionsMax] = left;
      expect(left.length < 2 || least + next > 0.6 * sessionsMax).toBe(true);
      expect(settled - sentAway).toBeLessThanOrEqual(workers);
      merged += settled - sentAway;
    }),
    { numRuns: 50, examples: [[thinned]] },
  );
  expect(merged).toBeGreaterThan(0);
});
