import { describe, expect, test } from "vitest";
import { endingsOf, howEnded, HubScene, listing, offersOf, task, taskId } from "./hub-scene.ts";

/** A worker whose only slot is taken, by a task called `run`. */
function busy(taskMs: number | null = null): HubScene {
  const scene = new HubScene();
  const one = listing({ slots: 1 });
  scene.join("v", { listings: [one], slots: 1 });
  if (taskMs !== null) {
    scene.submit(task("old"));
    scene.nowMs += taskMs;
    scene.delta("v", `${taskId("old")}.1`, 0, "ab");
    scene.end("v", `${taskId("old")}.1`, 1);
    scene.send("v", { type: "credit.grant", slots: 1 });
  }
  scene.submit(task("run"));
  return scene;
}

describe("a task that waits", () => {
  test("behind tasks that take too long is refused at once, and told when to come back", () => {
    const scene = busy(4_000);
    expect(howEnded(scene.submit(task("a")))).toBe("");
    expect(howEnded(scene.submit(task("b")))).toBe("");
    const [ending] = endingsOf(scene.submit(task("c")));
    expect(ending).toMatchObject({ kind: "failed", code: "no_capacity", retryAfterS: 12 });
  });

  test("is not refused where the one before it is nearly done", () => {
    const scene = busy(12_000);
    expect(howEnded(scene.submit(task("early")))).toContain("no_capacity");
    scene.nowMs += 11_900;
    expect(howEnded(scene.submit(task("late")))).toBe("");
  });

  test("of a queue keeps its patience when its worker is lost", () => {
    const scene = new HubScene();
    scene.join("v");
    scene.submit(task("a", { mode: "async" }));
    scene.step({ kind: "session.closed", sessionId: "v", reason: "closed 1006" });
    expect(howEnded(scene.tick(299_999))).toBe("");
    expect(howEnded(scene.tick(300_000))).toContain("no_capacity");
  });

  test("waits where nobody knows how long tasks take", () => {
    const scene = busy();
    for (const name of ["a", "b", "c", "d"]) {
      expect(howEnded(scene.submit(task(name)))).toBe("");
    }
  });

  test("of a batch waits six times as long, and lets real time go first", () => {
    const scene = busy(4_000);
    scene.submit(task("b", { mode: "async" }));
    scene.submit(task("c", { mode: "batch" }));
    scene.submit(task("d", { mode: "batch" }));
    scene.submit(task("r"));
    const names = scene.state.waiting.map(({ task: { id } }) => id[4]);
    expect(names.join("")).toBe("rcdb");
    expect(howEnded(scene.tick(scene.nowMs + 10_000))).toContain("no_capacity");
    expect(scene.state.waiting).toHaveLength(3);
  });

  test("is placed as soon as a slot is free, the first in line first", () => {
    const scene = busy();
    scene.submit(task("b", { mode: "batch" }));
    scene.submit(task("r"));
    scene.delta("v", `${taskId("run")}.1`, 0, "ab");
    scene.end("v", `${taskId("run")}.1`, 1);
    const effects = scene.send("v", { type: "credit.grant", slots: 1 });
    expect(offersOf(effects)).toEqual(["v .1"]);
    expect(scene.state.waiting.map(({ task: { id } }) => id[4])).toEqual(["b"]);
  });
});
