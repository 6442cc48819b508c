import { describe, expect, test } from "vitest";
import type { HubDigest } from "../../../edge/directory/digest.ts";
import {
  createDirectoryState,
  type Dial,
  digestTtlMs,
  type DirectoryState,
  liveDigests,
  placeWorker,
  putDigest,
  seatMs,
  sparseMs,
} from "../../../edge/directory/directory-state.ts";

function digest(hubId: string, sessions: number, atMs = 0, isMoving = false): HubDigest {
  return { hubId, region: "weur", atMs, sessions, sessionsMax: 10, isMoving, models: [] };
}

/** A directory that has been there for long, and has just heard this. */
function directory(...digests: readonly HubDigest[]): DirectoryState {
  const state = createDirectoryState("weur", -1_000_000);
  for (const of of digests) putDigest(state, of, of.atMs);
  return state;
}

function idsOf(state: DirectoryState, nowMs: number): string[] {
  return liveDigests(state, nowMs).map(({ hubId }) => hubId);
}

function place(state: DirectoryState, nowMs = 0, dial: Partial<Dial> = {}): string {
  return placeWorker(state, { lastHubId: null, fullHubIds: [], ...dial }, nowMs);
}

/** How many of so many dials each hub gets. */
function placeMany(state: DirectoryState, dials: number, nowMs = 0): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let dial = 0; dial < dials; dial++) {
    const hubId = place(state, nowMs);
    counts[hubId] = (counts[hubId] ?? 0) + 1;
  }
  return counts;
}

describe("a directory", () => {
  test("knows each hub by its latest digest, however they arrive", () => {
    const state = directory(digest("weur:0", 5, 20), digest("weur:0", 1, 10));
    expect(liveDigests(state, 20)).toEqual([digest("weur:0", 5, 20)]);
  });

  test("forgets a hub that says nothing for too long, and knows it again by its next word", () => {
    const state = directory(digest("weur:0", 1, 0), digest("weur:1", 1, 10));
    expect(idsOf(state, digestTtlMs)).toEqual(["weur:0", "weur:1"]);
    expect(idsOf(state, digestTtlMs + 1)).toEqual(["weur:1"]);
    putDigest(state, digest("weur:0", 1, digestTtlMs), digestTtlMs);
    expect(idsOf(state, digestTtlMs + 1)).toEqual(["weur:1", "weur:0"]);
  });

  test("forgets a hub that is empty, and gives its number to the next", () => {
    const state = directory(digest("weur:0", 1), digest("weur:1", 10), digest("weur:0", 0, 1));
    expect(idsOf(state, 1)).toEqual(["weur:1"]);
    expect(place(state, 1)).toBe("weur:0");
  });
});

describe("a new worker", () => {
  test("begins the first hub of an empty region", () => {
    expect(place(directory())).toBe("weur:0");
  });

  test("joins the fullest hub that has room, so that few hubs stay awake", () => {
    expect(place(directory(digest("weur:0", 3), digest("weur:1", 9), digest("weur:2", 10)))).toBe(
      "weur:1",
    );
  });

  test("joins the hub of the lower name among equals, so that two of them agree", () => {
    expect(place(directory(digest("weur:1", 3), digest("weur:0", 3)))).toBe("weur:0");
  });

  test("begins the first free number where all hubs are full", () => {
    expect(place(directory(digest("weur:0", 10), digest("weur:2", 10)))).toBe("weur:1");
  });

  test("does not join a hub that has died", () => {
    expect(place(directory(digest("weur:3", 5, 0)), digestTtlMs + 1)).toBe("weur:0");
  });
});

describe("workers that come at once", () => {
  test("fill hub after hub, though no digest has told of any of them", () => {
    const counts = placeMany(createDirectoryState("weur", 0), 10_000);
    expect(Object.keys(counts)).toHaveLength(40);
    expect(Math.max(...Object.values(counts))).toBe(256);
  });

  test("take the seats that are left, then the next hub's", () => {
    const state = directory(digest("weur:0", 7));
    expect(placeMany(state, 5)).toEqual({ "weur:0": 3, "weur:1": 2 });
  });

  test("are counted once: a digest that must have seen them takes their promises' place", () => {
    const state = directory();
    placeMany(state, 9);
    putDigest(state, digest("weur:0", 9, 2_000), 2_000);
    expect(placeMany(state, 2, 2_000)).toEqual({ "weur:0": 1, "weur:1": 1 });
  });

  test("are not forgotten by a digest that cannot have seen them yet", () => {
    const state = directory(digest("weur:0", 1));
    placeMany(state, 9, 1_000);
    putDigest(state, digest("weur:0", 1, 1_100), 1_100);
    expect(place(state, 1_100)).toBe("weur:1");
  });

  test("and never arrive give their seats back", () => {
    const state = directory(digest("weur:0", 9));
    place(state);
    expect(place(state)).toBe("weur:1");
    expect(place(state, seatMs + 1)).toBe("weur:0");
  });
});

describe("a worker that comes back", () => {
  const back = (state: DirectoryState, lastHubId: string, nowMs = 0, fullHubIds: string[] = []) =>
    place(state, nowMs, { lastHubId, fullHubIds });

  test("goes to the hub it had, though another is fuller", () => {
    const state = directory(digest("weur:0", 8), digest("weur:1", 2));
    expect(back(state, "weur:1")).toBe("weur:1");
  });

  test("goes to a full hub too, which may have lost it and more; and elsewhere once refused", () => {
    const state = directory(digest("weur:0", 10), digest("weur:1", 2));
    expect(back(state, "weur:0")).toBe("weur:0");
    expect(back(state, "weur:0", 0, ["weur:0"])).toBe("weur:1");
    // The refusal counts for a while for others too.
    expect(back(state, "weur:0", 100)).toBe("weur:1");
  });

  test.each(["enam:0", "weur", "weur:00", "weur:-1", "weur:1e3", "weur:0:0", "weur:7", ""])(
    "is not believed that it had %j",
    (hint) => {
      expect(back(directory(digest("weur:0", 1)), hint)).toBe("weur:0");
    },
  );

  test("is believed about hubs the directory has not heard of while that is young itself", () => {
    const state = createDirectoryState("weur", 0);
    expect(back(state, "weur:7", 59_999)).toBe("weur:7");
    expect(back(state, "weur:1024", 59_999)).toBe("weur:7");
    expect(back(state, "weur:9", 60_000)).toBe("weur:7");
  });

  test("is one of at most as many as the hub has seats", () => {
    const state = directory(digest("weur:0", 10), digest("weur:1", 1));
    const hubIds = Array.from({ length: 12 }, () => back(state, "weur:0"));
    expect(hubIds.filter((hubId) => hubId === "weur:0")).toHaveLength(10);
  });
});

describe("of hubs that would fit in one", () => {
  /** Each says its digest every second until then; gives the advice of the last round. */
  function say(state: DirectoryState, hubs: Record<string, number>, fromMs: number, toMs: number) {
    let advice: Record<string, string> = {};
    for (let atMs = fromMs; atMs <= toMs; atMs += 1_000) {
      advice = Object.fromEntries(
        Object.entries(hubs).map(([hubId, sessions]) => [
          hubId,
          putDigest(state, digest(hubId, sessions, atMs), atMs),
        ]),
      );
    }
    return advice;
  }

  test("the emptier is told to move, but only after they fitted for two minutes", () => {
    const state = directory();
    const hubs = { "weur:0": 2, "weur:1": 4 };
    expect(say(state, hubs, 0, sparseMs - 1_000)).toEqual({ "weur:0": "stay", "weur:1": "stay" });
    expect(say(state, hubs, sparseMs, sparseMs + 1_000)).toEqual({
      "weur:0": "move",
      "weur:1": "stay",
    });
  });

  test("none is where both together would be over 60 % full", () => {
    const hubs = { "weur:0": 3, "weur:1": 4 };
    expect(say(directory(), hubs, 0, 10 * sparseMs)).toEqual({
      "weur:0": "stay",
      "weur:1": "stay",
    });
  });

  test("none is where they fitted only now and then", () => {
    const state = directory();
    say(state, { "weur:0": 2, "weur:1": 4 }, 0, sparseMs - 1_000);
    say(state, { "weur:0": 5, "weur:1": 4 }, sparseMs, sparseMs);
    const later = say(state, { "weur:0": 2, "weur:1": 4 }, sparseMs + 1_000, 2 * sparseMs);
    expect(later).toEqual({ "weur:0": "stay", "weur:1": "stay" });
  });

  test("the one that moves gets nobody, not even its own, and is told so until it is gone", () => {
    const state = directory();
    say(state, { "weur:0": 2, "weur:1": 4 }, 0, sparseMs + 1_000);
    const nowMs = sparseMs + 1_500;
    expect(place(state, nowMs, { lastHubId: "weur:0" })).toBe("weur:1");
    // Nor tasks: those who route hear of it before the hub itself has said so.
    const moving = liveDigests(state, nowMs).filter(({ isMoving }) => isMoving === true);
    expect(moving.map(({ hubId }) => hubId)).toEqual(["weur:0"]);
    expect(putDigest(state, digest("weur:0", 1, nowMs, true), nowMs)).toBe("move");
    putDigest(state, digest("weur:0", 0, nowMs + 1), nowMs + 1);
    expect(idsOf(state, nowMs + 1)).toEqual(["weur:1"]);
  });

  test("only so many move to one hub as that has room to spare for", () => {
    const state = directory();
    const hubs = { "weur:0": 3, "weur:1": 2, "weur:2": 2, "weur:3": 2 };
    const advice = say(state, hubs, 0, sparseMs + 1_000);
    // 3 + 2 of 10; the next would make it 7. The two that are left fit into each other.
    expect(Object.values(advice).filter((one) => one === "move")).toHaveLength(2);
    expect(advice["weur:0"]).toBe("stay");
  });

  test("a hub that moves by another's word is known by its digest, and nobody's refuge", () => {
    const state = directory();
    for (let atMs = 0; atMs <= 2 * sparseMs; atMs += 1_000) {
      putDigest(state, digest("weur:0", 4, atMs, true), atMs);
      expect(putDigest(state, digest("weur:1", 1, atMs), atMs)).toBe("stay");
    }
    expect(place(state, 2 * sparseMs)).toBe("weur:1");
  });

  test("one that is alone stays, however empty", () => {
    expect(say(directory(), { "weur:0": 1 }, 0, 3 * sparseMs)).toEqual({ "weur:0": "stay" });
  });
});
