import { describe, expect, test } from "vitest";
import { spreadMsFor } from "../../../edge/hub/sessions/move-workers.ts";
import { spreadMsOf } from "../../../shared/protocol/close-codes.ts";
import { closesOf, HubScene, howEnded, offersOf, task, taskId } from "./hub-scene.ts";

const attempt = `${taskId("a")}.1`;
const away = "restart: this hub sends its workers elsewhere; spread_ms=15000";

function move(scene: HubScene, busyUntilMs: number | null = null) {
  return scene.step({ kind: "hub.moves", moving: { spreadMs: 15_000, busyUntilMs } });
}

/** A hub with one idle worker, and one that runs a task. */
function busyScene(): HubScene {
  const scene = new HubScene();
  scene.join("busy", { slots: 1 });
  scene.submit(task("a"));
  scene.join("idle");
  return scene;
}

describe("a hub that moves", () => {
  test("closes its idle workers at once, with a spread, and no busy one", () => {
    const scene = busyScene();
    expect(closesOf(move(scene))).toEqual([`idle ${away}`]);
    expect([...scene.state.sessions.keys()]).toEqual(["busy"]);
  });

  test("closes a busy worker as soon as its answer has ended", () => {
    const scene = busyScene();
    move(scene);
    scene.delta("busy", attempt, 0, "hello");
    const effects = scene.end("busy", attempt, 1);
    expect(howEnded(effects)).toBe("answered");
    expect(closesOf(effects)).toEqual([`busy ${away}`]);
  });

  test("waits for no answer longer than it was told", () => {
    const scene = busyScene();
    move(scene, 5_000);
    scene.nowMs = 4_999;
    expect(closesOf(scene.step({ kind: "tick" }))).toEqual([]);
    scene.nowMs = 5_000;
    expect(closesOf(scene.step({ kind: "tick" }))).toEqual([`busy ${away}`]);
  });

  test("offers nothing more, not even a slot that comes free", () => {
    const scene = busyScene();
    move(scene);
    expect(offersOf(scene.submit(task("b")))).toEqual([]);
    expect(offersOf(scene.send("busy", { type: "credit.grant", slots: 3 }))).toEqual([]);
  });

  test("gives waiting tasks back at once, so that another hub is asked", () => {
    const scene = new HubScene();
    scene.join("busy", { slots: 1 });
    scene.submit(task("a"));
    scene.submit(task("b"));
    expect(howEnded(move(scene))).toBe("no_capacity");
  });

  test("lets nobody in, and says when to come back", () => {
    const scene = busyScene();
    move(scene);
    expect(closesOf(scene.open("new"))).toEqual([`new ${away}`]);
    expect(scene.state.sessions.has("new")).toBe(false);
  });

  test("stays shut for a while once its workers have left to settle elsewhere", () => {
    const scene = new HubScene();
    scene.join("idle");
    move(scene);
    expect(scene.state.sessions.size).toBe(0);
    // Their spread, and as long as front Workers go by an old view.
    scene.nowMs = 29_999;
    expect(closesOf(scene.open("early"))).toEqual([`early ${away}`]);
    scene.nowMs = 30_000;
    scene.join("late");
    expect([...scene.state.sessions.keys()]).toEqual(["late"]);
    expect(offersOf(scene.submit(task("a")))).toHaveLength(1);
  });

  test("takes workers again at once where it was drained", () => {
    const scene = busyScene();
    move(scene, 0);
    expect(scene.state.sessions.size).toBe(0);
    expect(scene.state.moving).toBeNull();
    scene.join("new");
    expect([...scene.state.sessions.keys()]).toEqual(["new"]);
  });

  test("stays as it is where it has nobody", () => {
    const scene = new HubScene();
    expect(move(scene)).toEqual([]);
    expect(scene.state.moving).toBeNull();
  });

  test("keeps the earlier limit where it is told again without one", () => {
    const scene = busyScene();
    move(scene, 5_000);
    move(scene);
    scene.nowMs = 5_000;
    expect(closesOf(scene.step({ kind: "tick" }))).toEqual([`busy ${away}`]);
  });
});

describe("a hub with as many workers as it may have", () => {
  test("turns the next one away, with a spread", () => {
    const scene = new HubScene({ sessionsMax: 2 });
    scene.join("v");
    scene.join("w");
    const [close = ""] = closesOf(scene.open("x"));
    expect(close).toBe("x hubFull: this hub has 2 workers; spread_ms=1000");
    expect([...scene.state.sessions.keys()]).toEqual(["v", "w"]);
  });

  test("lets a worker in that it has already: the newer connection takes over", () => {
    const scene = new HubScene({ sessionsMax: 2 });
    scene.join("v");
    scene.join("w");
    scene.nowMs = 10;
    expect(closesOf(scene.open("v again", "v"))[0]).toMatch(/^v replaced: /);
    expect([...scene.state.sessions.keys()]).toEqual(["w", "v again"]);
  });
});

describe("the spread that a hub wishes for", () => {
  test.each([
    [0, 500],
    [1, 500],
    [3, 1_500],
    [30, 15_000],
    [256, 15_000],
  ])("with %d workers is %d ms", (workers, ms) => {
    expect(spreadMsFor(workers)).toBe(ms);
  });

  test("reaches the worker in the reason of the close", () => {
    expect(spreadMsOf(away)).toBe(15_000);
  });
});
