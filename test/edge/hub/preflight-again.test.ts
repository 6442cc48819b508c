import { describe, expect, test } from "vitest";
import { framesOf, type HubScene, listing, offersOf, task } from "./hub-scene.ts";
import {
  ableEngine,
  all,
  answerProbes,
  type Asked,
  deaf,
  type FakeEngine,
  joined,
  lastResult,
  listedOf,
  publish,
} from "./preflight-scene.ts";

const hourMs = 60 * 60_000;
/** Lets `ms` pass, a minute at a time, while `engine` answers; gives all that was asked. */
function pass(scene: HubScene, ms: number, engine: FakeEngine = ableEngine): Asked {
  const asked: Asked = [];
  for (const endMs = scene.nowMs + ms; scene.nowMs < endMs;) {
    answerProbes(scene, "v", scene.tick(scene.nowMs + 60_000), engine, asked);
  }
  return asked;
}

describe("what is listed", () => {
  test("is probed again now and then, by a request or two of which its worker is not told", () => {
    const { scene, effects } = joined();
    answerProbes(scene, "v", effects);
    expect(pass(scene, 2 * hourMs - 60_000)).toEqual([]);
    const again = scene.tick(2 * hourMs);
    expect(framesOf(again, "task.offer")).toHaveLength(1);
    expect(listedOf(scene)).toEqual([all]);
    const after = answerProbes(scene, "v", again);
    expect(framesOf(after, "listing.result")).toEqual([]);
    expect(pass(scene, 24 * hourMs - scene.nowMs - 60_000).length).toBeLessThan(24);
    expect(listedOf(scene)).toEqual([all]);
  });

  test("is probed whole after a day, and served meanwhile", () => {
    const { scene, effects } = joined([all], 2);
    answerProbes(scene, "v", effects);
    scene.nowMs = 25 * hourMs;
    const published = publish(scene, [all], 2);
    expect(lastResult(published)).toMatchObject({ listed: ["m"], refused: [] });
    expect(offersOf(scene.submit(task("a")))).toEqual(["v .1"]);
    const asked: Asked = [];
    answerProbes(scene, "v", published, ableEngine, asked);
    expect(asked).toHaveLength(9);
    expect(listedOf(scene)).toEqual([all]);
  });

  test("is listed no more once a probe finds it broken", () => {
    const { scene, effects } = joined([listing()]);
    answerProbes(scene, "v", effects);
    const fails: FakeEngine = () => ({ parts: [] });
    pass(scene, 2 * hourMs, fails);
    expect(listedOf(scene)).toEqual([]);
    expect(scene.submit(task("a"))).toMatchObject([{ ending: { code: "model_not_found" } }]);
    pass(scene, hourMs / 10);
    expect(listedOf(scene)).toEqual([listing()]);
  });

  test("and changed its price stays listed, also where something of it was struck", () => {
    const { scene, effects } = joined();
    answerProbes(scene, "v", effects, deaf);
    scene.nowMs = 11 * 60_000;
    publish(scene, [{ ...all, output_micros_per_million: 7 }], 2);
    expect(listedOf(scene)).toMatchObject([{ output_micros_per_million: 7 }]);
    expect(listedOf(scene)[0]?.abilities).not.toContain("tools");
  });

  test("says nothing of the same weights under another name", () => {
    const { scene, effects } = joined([all]);
    answerProbes(scene, "v", effects);
    publish(scene, [{ ...all, model: "never-probed-405b", quantization: "F16" }], 2);
    expect(listedOf(scene)).toEqual([]);
  });
});

describe("what is not there", () => {
  test("of abilities is probed again alone, and listed once it works", () => {
    const { scene, effects } = joined();
    answerProbes(scene, "v", effects, deaf);
    expect(pass(scene, 4 * 60_000, deaf)).toEqual([]);
    const asked = pass(scene, 60_000);
    expect(asked).toHaveLength(1);
    expect(asked[0]?.tools).toBeDefined();
    expect(listedOf(scene)).toEqual([all]);
    expect(scene.state.sessions.get("v")?.vetting.struck).toEqual([]);
  });

  test("is probed ever more seldom, however often it is published", () => {
    const { scene, effects } = joined([listing()], 200);
    const fails: FakeEngine = () => ({ parts: [] });
    const asked: Asked = [];
    answerProbes(scene, "v", effects, fails, asked);
    for (let revision = 2; revision < 40; revision++) {
      scene.nowMs += 100;
      const claims = revision % 3 === 0 ? [] : [listing()];
      const published = publish(scene, claims, revision);
      answerProbes(scene, "v", published, fails, asked);
    }
    expect(asked).toHaveLength(2);
    expect(pass(scene, 6 * hourMs, fails).length).toBeLessThan(20);
  });
});
