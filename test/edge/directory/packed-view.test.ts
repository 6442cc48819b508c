import { expect, test } from "vitest";
import { digestOf } from "../../../edge/directory/digest.ts";
import { packDigests, unpackDigests } from "../../../edge/directory/packed-view.ts";
import { HubScene, listing } from "../hub/hub-scene.ts";

function digest(hubId: string, ...models: readonly string[]) {
  const scene = new HubScene();
  for (const [at, model] of models.entries()) {
    scene.join(`w${at}`, { listings: [listing({ model, abilities: ["chat", "tools"] })] });
  }
  const hub = { hubId, region: "weur", atMs: 7, sessionsMax: 10 } as const;
  return { ...digestOf(hub, scene.state.sessions.values()), isMoving: hubId === "weur:1" };
}

test("what is packed is what is unpacked", () => {
  const digests = [digest("weur:0", "a", "b"), digest("weur:1", "b", "c", "d"), digest("weur:2")];
  expect(unpackDigests(packDigests(digests))).toEqual(digests);
  expect(unpackDigests(packDigests([]))).toEqual([]);
  expect(unpackDigests(packDigests([digest("weur:2")]))).toEqual([digest("weur:2")]);
});

test("a model that other hubs have too costs some bytes, not some hundred", () => {
  const one = packDigests([digest("weur:0", "a", "b")]).length;
  const two = packDigests([digest("weur:0", "a", "b"), digest("weur:0", "a", "b")]).length;
  const whole = JSON.stringify(digest("weur:0", "a", "b")).length;
  expect(two - one).toBeLessThan(whole / 5);
});

test("hubs share what they have in common", () => {
  const digests = [digest("weur:0", "a"), digest("weur:1", "a")];
  const [first, second] = unpackDigests(packDigests(digests));
  expect(second?.models[0]?.abilitySets).toBe(first?.models[0]?.abilitySets);
});
