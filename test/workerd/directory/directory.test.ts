import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { directoryObject } from "../../../edge/objects.ts";
import type { HubDigest } from "../../../edge/directory/digest.ts";
import { env } from "../routes/edge-client.ts";
import { newModel, serve, untilListed } from "../world.ts";

/** A region no test's workers are in. */
const directory = () => directoryObject(env, "sam");

function digest(hubId: string, changed: Partial<HubDigest> = {}): HubDigest {
  const atMs = Date.now();
  return { hubId, region: "sam", atMs, sessions: 0, sessionsMax: 256, models: [], ...changed };
}

const anyHub = { lastHubId: null, fullHubIds: [] };

test("the first worker of a region is sent to its first hub", async () => {
  expect(await directoryObject(env, "afr").placeWorker(anyHub)).toBe("afr:0");
});

test("workers fill the fullest hub that has room, then the next number", async () => {
  await directory().publish(digest("sam:0", { sessions: 256 }));
  expect(await directory().placeWorker(anyHub)).toBe("sam:1");
  await directory().publish(digest("sam:1", { sessions: 3 }));
  await directory().publish(digest("sam:2", { sessions: 7 }));
  expect(await directory().placeWorker(anyHub)).toBe("sam:2");
});

test("three hundred workers at once are two hubs'", async () => {
  const placed = await Promise.all(
    Array.from({ length: 300 }, () => directoryObject(env, "oc").placeWorker(anyHub)),
  );
  expect(placed.filter((hubId) => hubId === "oc:0")).toHaveLength(256);
  expect(placed.filter((hubId) => hubId === "oc:1")).toHaveLength(44);
});

test("a hub that moves by an operator's word is told so by its directory too", async () => {
  const moving = directoryObject(env, "eeur");
  expect(await moving.publish(digest("eeur:0", { region: "eeur", sessions: 3 }))).toBe("stay");
  const atMs = Date.now() + 1;
  const told = digest("eeur:0", { region: "eeur", atMs, sessions: 3, isMoving: true });
  expect(await moving.publish(told)).toBe("move");
  expect(await moving.placeWorker({ ...anyHub, lastHubId: "eeur:0" })).toBe("eeur:1");
});

test("a hub that was silent for 45 seconds is dead", async () => {
  await directory().publish(digest("sam:3", { atMs: Date.now() - 45_001, sessions: 100 }));
  const hubs = (await directory().digests()) as HubDigest[];
  expect(hubs.map(({ hubId }) => hubId)).not.toContain("sam:3");
});

test.each([
  ["evicted", () => evictDurableObject(directory())],
  ["aborted", () => abortAllDurableObjects()],
])("a directory that was %s knows a hub again with its next digest", async (_how, loseMemory) => {
  await directory().publish(digest("sam:0", { sessions: 4 }));
  await loseMemory();
  expect(await directory().digests()).toEqual([]);
  await directory().publish(digest("sam:0", { sessions: 5 }));
  expect(await directory().digests()).toMatchObject([{ hubId: "sam:0", sessions: 5 }]);
});

test("a directory that was evicted asks the hubs it knew before it says what there is", async () => {
  const model = newModel();
  await serve(model);
  await untilListed(model);
  await evictDurableObject(directoryObject(env, "weur"));
  const hubs = (await directoryObject(env, "weur").digests()) as HubDigest[];
  expect(hubs.flatMap(({ models }) => models.map((of) => of.model))).toContain(model);
});

test("a directory asks a hub that has lost its workers once, and then knows of none", async () => {
  const of = directoryObject(env, "sam");
  await of.publish(digest("sam:7", { sessions: 9 }));
  await evictDurableObject(of);
  expect(await of.digests()).toEqual([]);
  const stored = await runInDurableObject(of, (_, { storage }) => {
    return storage.sql.exec("SELECT hub_id FROM hubs WHERE hub_id = 'sam:7'").toArray();
  });
  expect(stored).toEqual([]);
});
