import { describe, expect, test } from "vitest";
import {
  createFirstTokenTimes,
  firstTokenP95,
  noteFirstToken,
} from "../../../edge/hub/attempts/first-token-times.ts";
import type { HubEffect } from "../../../edge/hub/hub-state.ts";
import {
  digest,
  endingsOf,
  framesOf,
  howEnded,
  HubScene,
  offersOf,
  task,
  taskId,
} from "./hub-scene.ts";

const first = `${taskId("a")}.1`;
const second = `${taskId("a")}.2`;

/** A hub that has seen first tokens take 100 ms, with `v` and `w` on it. */
function seasoned(): HubScene {
  const scene = new HubScene();
  for (let i = 0; i < 30; i++) {
    noteFirstToken(scene.state.firstTokens, { digest, ms: 100, bodyChars: 1_000 });
  }
  scene.join("v");
  return scene;
}

describe("first-token times", () => {
  test("tell what 95 of 100 take, once there are enough", () => {
    const times = createFirstTokenTimes();
    for (let ms = 1; ms <= 19; ms++) noteFirstToken(times, { digest, ms, bodyChars: 10 });
    expect(firstTokenP95(times, { digest, bodyChars: 10 })).toBe(null);
    noteFirstToken(times, { digest, ms: 20, bodyChars: 10 });
    expect(firstTokenP95(times, { digest, bodyChars: 10 })).toBe(19);
  });

  test("say nothing of a request longer than any seen, nor of other weights", () => {
    const times = createFirstTokenTimes();
    for (let ms = 1; ms <= 30; ms++) noteFirstToken(times, { digest, ms, bodyChars: 10 });
    expect(firstTokenP95(times, { digest, bodyChars: 11 })).toBe(null);
    expect(firstTokenP95(times, { digest: "other", bodyChars: 10 })).toBe(null);
  });

  test("forget what is long ago, and models nobody asks for", () => {
    const times = createFirstTokenTimes();
    for (let i = 0; i < 64; i++) noteFirstToken(times, { digest, ms: 9_000, bodyChars: 1 });
    for (let i = 0; i < 64; i++) noteFirstToken(times, { digest, ms: 5, bodyChars: 1 });
    expect(firstTokenP95(times, { digest, bodyChars: 1 })).toBe(5);
    for (let i = 0; i < 300; i++) noteFirstToken(times, { digest: `${i}`, ms: 1, bodyChars: 1 });
    expect(times.byDigest.size).toBe(256);
  });
});

describe("a worker that is late with its first token", () => {
  test("by its model's own times loses the task to the next after two seconds", () => {
    const scene = seasoned();
    scene.submit(task("a"));
    scene.join("w");
    expect(scene.tick(1_999)).toEqual([]);
    const effects = scene.tick(2_000);
    expect(framesOf(effects, "task.cancel")[0]?.reason).toBe("first_token_late");
    expect(offersOf(effects)).toEqual(["w .2"]);
  });

  test("keeps it where nobody else could have it, until ten seconds are over", () => {
    const scene = seasoned();
    scene.submit(task("a"));
    expect(scene.tick(9_999)).toEqual([]);
    expect(howEnded(scene.tick(10_000))).toBe("worker_failed");
  });
});

describe("a hedged task", () => {
  function raced(): { scene: HubScene; effects: HubEffect[] } {
    const scene = seasoned();
    scene.submit(task("a", { hedge: true }));
    scene.join("w");
    expect(scene.tick(99)).toEqual([]);
    return { scene, effects: scene.tick(100) };
  }

  test("is given to a second worker once the first is later than 95 of 100", () => {
    const { scene, effects } = raced();
    expect(offersOf(effects)).toEqual(["w .2"]);
    expect(framesOf(effects, "task.cancel")).toEqual([]);
    expect(offersOf(scene.tick(200))).toEqual([]);
  });

  test.each([
    ["v", first, "w", second],
    ["w", second, "v", first],
  ])("is %s's who speaks first; the other is told to stop, and unpaid", (one, of, other, loser) => {
    const { scene } = raced();
    const effects = scene.delta(one, of, 0, "ab");
    expect(framesOf(effects, "task.cancel")).toEqual([
      { type: "task.cancel", attempt: loser, reason: "superseded" },
    ]);
    expect(effects.map(({ kind }) => kind)).toEqual(["send", "started", "deliver"]);
    expect(scene.delta(other, loser, 0, "never heard")).toEqual([]);
    const [ending] = endingsOf(scene.end(one, of, 1));
    expect(ending).toMatchObject({ kind: "answered", shares: [{ attempt: { id: of } }] });
    const outcomes = ending?.entry.records.map(({ outcome }) => outcome);
    expect(outcomes).toEqual(["superseded", "complete"]);
  });

  test("goes on with the second where the first is lost, and nobody else is asked", () => {
    const { scene } = raced();
    scene.join("x");
    const lost = scene.step({ kind: "session.closed", sessionId: "v", reason: "" });
    expect([offersOf(lost), howEnded(lost)]).toEqual([[], ""]);
    scene.delta("w", second, 0, "ab");
    expect(howEnded(scene.end("w", second, 1))).toBe("answered");
  });

  test("whose consumer leaves stops both", () => {
    const { scene } = raced();
    const effects = scene.step({ kind: "consumer.gone", taskId: taskId("a") });
    const told = framesOf(effects, "task.cancel").map(({ attempt }) => attempt);
    expect(told.toSorted()).toEqual([first, second]);
  });

  test("that is no fault of a worker's ends with both", () => {
    const { scene } = raced();
    const code = "context_length_exceeded" as const;
    const failure = { type: "task.fail", attempt: second, seq: 0, code, message: "" } as const;
    const effects = scene.send("w", failure);
    expect(howEnded(effects)).toBe("context_length_exceeded");
    expect(framesOf(effects, "task.cancel")[0]?.attempt).toBe(first);
    expect(scene.state.attempts.size).toBe(0);
  });

  test("is not won by a part without a word", () => {
    const { scene } = raced();
    const parts = [{ index: 0, tokens: 1, text: "" }];
    expect(scene.send("v", { type: "task.delta", attempt: first, seq: 0, parts })).toEqual([]);
    expect(framesOf(scene.delta("w", second, 0, "ab"), "task.cancel")[0]?.attempt).toBe(first);
  });

  test("is remembered with the route of who answered it", () => {
    const { scene } = raced();
    scene.delta("w", second, 0, "ab");
    const [ending] = endingsOf(scene.end("w", second, 1));
    expect(ending?.entry.route).toMatchObject({ workerId: "worker w" });
  });
});

describe("a model that is slower today than it was", () => {
  test("does not fail tasks that its workers could answer, and is known to be slow soon", () => {
    const scene = seasoned();
    for (const name of ["w", "x", "y", "z"]) scene.join(name);
    const endings: string[] = [];
    for (let at = 0; at < 3; at++) {
      const name = `s${at}x`;
      let effects = scene.submit(task(name));
      for (let number = 1; number <= 3; number++) {
        const [offered = ""] = offersOf(effects);
        const startMs = scene.nowMs;
        effects = scene.tick(startMs + 2_500);
        if (offersOf(effects).length > 0) continue;
        // Not given up: three seconds are what it takes today.
        scene.nowMs = startMs + 3_000;
        const attempt = `${taskId(name)}.${number}`;
        const worker = offered.split(" ")[0] ?? "";
        scene.delta(worker, attempt, 0, "ab");
        endings.push(howEnded(scene.end(worker, attempt, 1)));
        break;
      }
    }
    expect(endings).toEqual(["answered", "answered", "answered"]);
  });
});
