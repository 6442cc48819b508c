import { describe, expect, test } from "vitest";
import type { HubDigest } from "../../../edge/directory/digest.ts";
import {
  createDirectoryState,
  digestTtlMs,
  type DirectoryState,
  hubForWorker,
  liveDigests,
  putDigest,
} from "../../../edge/directory/directory-state.ts";

function digest(hubId: string, sessions: number, atMs = 0): HubDigest {
  return { hubId, region: "weur", atMs, sessions, sessionsMax: 10, models: [] };
}

function directory(...digests: readonly HubDigest[]): DirectoryState {
  const state = createDirectoryState("weur");
  for (const of of digests) putDigest(state, of);
  return state;
}

function idsOf(state: DirectoryState, nowMs: number): string[] {
  return liveDigests(state, nowMs).map(({ hubId }) => hubId);
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
    putDigest(state, digest("weur:0", 1, digestTtlMs));
    expect(idsOf(state, digestTtlMs + 1)).toEqual(["weur:1", "weur:0"]);
  });
});

describe("a new worker", () => {
  test("begins the first hub of an empty region", () => {
    expect(hubForWorker(directory(), 0)).toBe("weur:0");
  });

  test("joins the fullest hub that has room, so that few hubs stay awake", () => {
    const state = directory(digest("weur:0", 3), digest("weur:1", 9), digest("weur:2", 10));
    expect(hubForWorker(state, 0)).toBe("weur:1");
  });

  test("joins the hub of the lower name among equals, so that two of them agree", () => {
    expect(hubForWorker(directory(digest("weur:1", 3), digest("weur:0", 3)), 0)).toBe("weur:0");
  });

  test("begins the first free number where all hubs are full", () => {
    const state = directory(digest("weur:0", 10), digest("weur:2", 10));
    expect(hubForWorker(state, 0)).toBe("weur:1");
  });

  test("does not join a hub that has died", () => {
    const state = directory(digest("weur:3", 5, 0));
    expect(hubForWorker(state, digestTtlMs + 1)).toBe("weur:0");
  });
});
