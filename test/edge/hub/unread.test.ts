import { expect, test } from "vitest";
import { HubScene, task, taskId } from "./hub-scene.ts";

/** A hub in the middle of a streamed answer. */
function streaming(): HubScene {
  const scene = new HubScene({ stallMs: 1_000 });
  scene.join("a");
  scene.submit(task("t"));
  scene.delta("a", `${taskId("t")}.1`, 0, "word");
  return scene;
}

const unread: ReadonlySet<string> = new Set([taskId("t")]);

test("a worker that is silent because its consumer does not read is not taken for lost", () => {
  const scene = streaming();
  for (let atMs = 500; atMs <= 10_000; atMs += 500) {
    scene.nowMs = atMs;
    expect(scene.step({ kind: "tick", unread })).toEqual([]);
  }
});

test("its silence counts again from when the consumer has read", () => {
  const scene = streaming();
  scene.nowMs = 5_000;
  scene.step({ kind: "tick", unread });
  expect(scene.tick(5_999)).toEqual([]);
  expect(scene.tick(6_000).map(({ kind }) => kind)).toContain("ended");
});
