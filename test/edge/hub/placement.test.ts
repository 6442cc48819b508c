import { describe, expect, test } from "vitest";
import {
  endingsOf,
  framesOf,
  howEnded,
  HubScene,
  listing,
  offersOf,
  recordIn,
  task,
  taskId,
} from "./hub-scene.ts";

const first = `${taskId("a")}.1`;

describe("the bodies of a hub's tasks", () => {
  test("have a sum beyond which another hub is better, and one that ended makes room", () => {
    const scene = new HubScene({ bodiesCharsMax: 100 });
    scene.join("w");
    const body = `{"audio":"${"A".repeat(50)}"}`;
    scene.submit(task("a", { body }));
    const effects = scene.submit(task("b", { body }));
    expect(howEnded(effects)).toBe("no_capacity");
    expect(scene.state.tasks.size).toBe(1);
    scene.submit(task("c"));
    scene.end("w", first, 0);
    scene.send("w", { type: "credit.grant", slots: 1 });
    expect(offersOf(scene.submit(task("d", { body })))).toEqual(["w .1"]);
    scene.step({ kind: "session.closed", sessionId: "w", reason: "gone" });
    scene.tick(30_000);
    expect([scene.state.tasks.size, scene.state.bodiesChars]).toEqual([0, 0]);
  });
});

describe("an offer", () => {
  test("goes to a worker that lists the model and has granted a slot", () => {
    const scene = new HubScene();
    scene.join("w");
    expect(offersOf(scene.submit(task("a")))).toEqual(["w .1"]);
  });

  test("carries the body, the price, the window and the ticket", () => {
    const scene = new HubScene();
    scene.join("w");
    const [offer] = framesOf(scene.submit(task("a", { body: '{"x":1}' })), "task.offer");
    expect(offer).toMatchObject({
      attempt: first,
      body: '{"x":1}',
      body_parts: 1,
      window_bytes: 65_536,
      input_micros_per_million: 100,
      output_micros_per_million: 200,
      ticket: "ticket of a",
    });
  });

  test("of a body longer than a frame's part is followed by the rest in order", () => {
    const scene = new HubScene();
    scene.join("w");
    const body = `{"text":"${"🦑".repeat(70_000)}"}`;
    const effects = scene.submit(task("a", { body }));
    const [offer] = framesOf(effects, "task.offer");
    const rest = framesOf(effects, "task.body");
    expect(offer?.body_parts).toBe(3);
    expect(rest.map(({ part }) => part)).toEqual([1, 2]);
    expect([offer?.body, ...rest.map(({ text }) => text)].join("")).toBe(body);
  });

  test("uses up a granted slot, and without one the task waits", () => {
    const scene = new HubScene();
    scene.join("w", { slots: 1 });
    scene.submit(task("a"));
    expect(scene.submit(task("b"))).toEqual([]);
    const effects = scene.send("w", { type: "credit.grant", slots: 1 });
    expect(offersOf(effects)).toEqual(["w .1"]);
  });

  test("is not made beyond the slots of its model, whatever other models have free", () => {
    const scene = new HubScene();
    const listings = [listing({ slots: 1 }), listing({ model: "other", slots: 3 })];
    scene.join("w", { listings, slots: 4 });
    scene.submit(task("a"));
    expect(scene.submit(task("b"))).toEqual([]);
    expect(offersOf(scene.submit(task("c", { model: "other" })))).toEqual(["w .1"]);
  });

  test("reaches waiting tasks in the order of their arrival", () => {
    const scene = new HubScene();
    scene.join("w", { slots: 0 });
    for (const name of ["a", "b", "c"]) scene.submit(task(name));
    const effects = scene.send("w", { type: "credit.grant", slots: 2 });
    const offered = framesOf(effects, "task.offer").map(({ attempt }) => attempt);
    expect(offered).toEqual([`${taskId("a")}.1`, `${taskId("b")}.1`]);
  });
});

describe("a task that nobody can serve", () => {
  test("is refused at once where no worker has the model", () => {
    const scene = new HubScene();
    expect(howEnded(scene.submit(task("a")))).toBe("model_not_found");
  });

  test.each([
    ["its price rose", { input_micros_per_million: 1_001 }, {}, "no_capacity"],
    ["it needs more context", {}, { completionTokensMax: 1_001 }, "context_length_exceeded"],
    ["it needs an ability", {}, { demands: ["chat", "tools"] as const }, "unsupported_parameter"],
    ["it is too secret", {}, { class: "private" as const }, "model_not_found"],
  ])("is refused at once where %s", (_, offered, asked, code) => {
    const scene = new HubScene();
    scene.join("w", { listings: [listing(offered)] });
    expect(howEnded(scene.submit(task("a", asked)))).toBe(code);
  });

  test("is refused for now where all who could are leaving", () => {
    const scene = new HubScene();
    scene.join("w");
    scene.send("w", { type: "worker.drain" });
    expect(howEnded(scene.submit(task("a")))).toBe("no_capacity");
  });

  test("waits no longer than the queue's time, and is told when to come again", () => {
    const scene = new HubScene({ queueMs: 1_000 });
    scene.join("w", { slots: 0 });
    scene.submit(task("a"));
    expect(scene.tick(999)).toEqual([]);
    const [ending] = endingsOf(scene.tick(1_000));
    expect(ending).toMatchObject({ kind: "failed", code: "no_capacity", retryAfterS: 2 });
    expect(scene.state.tasks.size + scene.state.waiting.length).toBe(0);
  });

  test("is refused at once where as many wait as may", () => {
    const scene = new HubScene({ queueMax: 1 });
    scene.join("w", { slots: 0 });
    scene.submit(task("a"));
    expect(howEnded(scene.submit(task("b")))).toBe("no_capacity");
  });
});

describe("another worker is asked", () => {
  function two(config = {}): HubScene {
    const scene = new HubScene(config);
    scene.join("v");
    scene.join("w");
    scene.submit(task("a"));
    return scene;
  }

  test("where the first refuses", () => {
    const scene = two();
    const effects = scene.send("v", { type: "task.refuse", attempt: first, reason: "busy" });
    expect(offersOf(effects)).toEqual(["w .2"]);
  });

  test("where the first makes no token in time, which is told to stop", () => {
    const scene = two({ firstTokenMs: 500 });
    const effects = scene.tick(500);
    expect(framesOf(effects, "task.cancel")).toEqual([
      { type: "task.cancel", attempt: first, reason: "first_token_late" },
    ]);
    expect(offersOf(effects)).toEqual(["w .2"]);
  });

  test("where the first is lost or fails before its first token", () => {
    const lost = two().step({ kind: "session.closed", sessionId: "v", reason: "closed 1006" });
    expect(offersOf(lost)).toEqual(["w .2"]);
    const code = "engine_failed" as const;
    const failed = two().send("v", {
      type: "task.fail",
      attempt: first,
      seq: 0,
      code,
      message: "",
    });
    expect(offersOf(failed)).toEqual(["w .2"]);
  });

  test("and never the same session twice, but a worker that came back is another session", () => {
    const scene = new HubScene();
    scene.join("v");
    scene.submit(task("a"));
    scene.send("v", { type: "task.refuse", attempt: first, reason: "draining" });
    expect(scene.send("v", { type: "credit.grant", slots: 1 })).toEqual([]);
    scene.nowMs = 10;
    scene.open("v again", "v");
    scene.send("v again", { type: "listing.publish", revision: 1, listings: [listing()] });
    expect(offersOf(scene.send("v again", { type: "credit.grant", slots: 1 }))).toEqual([
      "v again .2",
    ]);
  });

  test("but where there is no other, what the only one said is the answer at once", () => {
    const failing = new HubScene();
    failing.join("v");
    failing.submit(task("a"));
    const message = "the GPU is gone";
    const code = "engine_failed" as const;
    const failed = failing.send("v", { type: "task.fail", attempt: first, seq: 0, code, message });
    expect(howEnded(failed)).toBe("worker_failed");
    expect(JSON.stringify(failed)).toContain("The worker failed: the GPU is gone");
    const paused = new HubScene();
    paused.join("v");
    paused.submit(task("a"));
    const refusal = { type: "task.refuse", attempt: first, reason: "unknown_model" } as const;
    expect(howEnded(paused.send("v", refusal))).toBe("no_capacity");
  });

  test("at most as often as failures are allowed", () => {
    const scene = new HubScene({ failuresMax: 2 });
    for (const name of ["u", "v", "w"]) scene.join(name);
    scene.submit(task("a"));
    scene.step({ kind: "session.closed", sessionId: "u", reason: "" });
    const effects = scene.step({ kind: "session.closed", sessionId: "v", reason: "" });
    expect(howEnded(effects)).toBe("worker_failed");
    expect(recordIn(effects)?.attempts).toHaveLength(2);
  });

  test("at most as often as attempts are allowed where all of them refuse", () => {
    const scene = new HubScene({ attemptsMax: 2 });
    for (const name of ["u", "v", "w"]) scene.join(name);
    scene.submit(task("a"));
    scene.send("u", { type: "task.refuse", attempt: first, reason: "busy" });
    const second = `${taskId("a")}.2`;
    const effects = scene.send("v", { type: "task.refuse", attempt: second, reason: "busy" });
    expect(howEnded(effects)).toBe("no_capacity");
  });

  test("before tasks that came later", () => {
    const scene = new HubScene();
    scene.join("v", { slots: 1 });
    scene.submit(task("a"));
    scene.submit(task("b"));
    scene.step({ kind: "session.closed", sessionId: "v", reason: "" });
    scene.join("w", { slots: 0 });
    const [offer] = framesOf(scene.send("w", { type: "credit.grant", slots: 1 }), "task.offer");
    expect(offer?.attempt).toBe(`${taskId("a")}.2`);
  });

  test("with attempt numbers that go on where the hub before left off", () => {
    const scene = new HubScene();
    scene.join("v");
    expect(offersOf(scene.submit(task("a", { attemptsBefore: 8 })))).toEqual(["v .9"]);
  });

  test("not where the request itself is at fault", () => {
    const scene = two();
    const code = "context_length_exceeded" as const;
    const frame = { type: "task.fail", attempt: first, seq: 0, code, message: "too long" } as const;
    expect(howEnded(scene.send("v", frame))).toBe("context_length_exceeded");
  });
});

describe("the pace of an offer", () => {
  test("grows with what the hub has running, up to a tenth of a second", () => {
    const scene = new HubScene({ paceMs: 25 });
    const wide = listing({ slots: 200 });
    scene.join("v", { listings: [wide], slots: 200 });
    const paces: number[] = [];
    for (let at = 0; at < 60; at++) {
      const [offer] = framesOf(scene.submit(task(`t${at}x`)), "task.offer");
      paces.push(offer?.pace_ms ?? 0);
    }
    expect([paces[0], paces[9], paces[19], paces[39], paces[59]]).toEqual([25, 25, 50, 100, 100]);
  });
});
