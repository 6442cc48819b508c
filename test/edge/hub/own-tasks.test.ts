import { describe, expect, test } from "vitest";
import { noteFirstToken } from "../../../edge/hub/attempts/first-token-times.ts";
import { prospectOf } from "../../../edge/hub/routing/prospect.ts";
import type { InferenceTask } from "../../../edge/inference/task.ts";
import { defaultRouting } from "../../../shared/openai/routing.ts";
import {
  digest,
  endFrame,
  endingsOf,
  framesOf,
  howEnded,
  HubScene,
  listing,
  offersOf,
  task,
  taskId,
} from "./hub-scene.ts";

const able = listing({ abilities: ["chat", "forced_prefix"], slots: 1 });
const cheap = listing({
  abilities: ["chat", "forced_prefix"],
  input_micros_per_million: 0,
  output_micros_per_million: 0,
});

/** A task that only the workers of `acct_own` may answer: those named `own`. */
function ownTask(name: string, changes: Partial<InferenceTask> = {}): InferenceTask {
  const plain = task(name, { accountId: "acct_own", ...changes });
  const terms = { ...plain.terms, account: "acct_own", limit: "0", own: true } as const;
  return { ...plain, terms };
}

/** A hub with one slot of the owner's, and many of a cheap stranger's. */
function scene(): HubScene {
  const hub = new HubScene({ queueMs: 10_000 });
  hub.join("own", { listings: [able], slots: 1 });
  hub.join("stranger", { listings: [cheap], slots: 9 });
  return hub;
}

function lose(hub: HubScene, name: string) {
  return hub.step({ kind: "session.closed", sessionId: name, reason: "closed 1006" });
}

describe("a task for own workers alone", () => {
  test("goes to one, whatever a stranger asks and has free", () => {
    for (const chance of [0, 0.5, 0.995]) {
      const hub = scene();
      hub.random = () => chance;
      expect(offersOf(hub.submit(ownTask("a")))).toEqual(["own .1"]);
    }
  });

  test.each(["cost", "speed"] as const)("by the strategy %s as well", (strategy) => {
    const routing = { ...defaultRouting, strategy };
    expect(offersOf(scene().submit(ownTask("a", { routing })))).toEqual(["own .1"]);
  });

  test("ends where there is none, and strangers do not count as busy", () => {
    const hub = new HubScene();
    hub.join("stranger");
    const [ending] = endingsOf(hub.submit(ownTask("a")));
    expect(ending).toMatchObject({
      kind: "failed",
      code: "no_capacity",
      message: "No worker of your own offers m here",
    });
  });

  test("waits for a slot of its own though strangers are free, or come free", () => {
    const hub = scene();
    hub.submit(ownTask("a"));
    const waiting = hub.submit(ownTask("b"));
    expect([offersOf(waiting), howEnded(waiting)]).toEqual([[], ""]);
    expect(offersOf(hub.send("stranger", { type: "credit.grant", slots: 1 }))).toEqual([]);
    hub.join("later", { listings: [cheap] });
    expect(hub.state.waiting).toHaveLength(1);
    hub.delta("own", `${taskId("a")}.1`, 0, "ab");
    hub.end("own", `${taskId("a")}.1`, 1);
    const placed = hub.send("own", { type: "credit.grant", slots: 1 });
    expect(offersOf(placed)).toEqual(["own .1"]);
  });

  test("ends where its patience does", () => {
    const hub = scene();
    hub.submit(ownTask("a"));
    hub.submit(ownTask("b"));
    expect(howEnded(hub.tick(10_000))).toContain("no_capacity");
  });

  test("is told how long its own workers take, and waits behind its like alone", () => {
    const hub = scene();
    hub.submit(ownTask("old"));
    hub.nowMs += 4_000;
    hub.delta("own", `${taskId("old")}.1`, 0, "ab");
    hub.end("own", `${taskId("old")}.1`, 1);
    hub.send("own", { type: "credit.grant", slots: 1 });
    // Strangers are done sooner, which is of no use here.
    hub.submit(task("theirs", { routing: { ...defaultRouting, exclude: ["acct_own"] } }));
    hub.nowMs += 3_900;
    hub.submit(ownTask("run"));
    for (const name of ["b", "c"]) expect(howEnded(hub.submit(ownTask(name)))).toBe("");
    const [ending] = endingsOf(hub.submit(ownTask("d")));
    expect(ending).toMatchObject({ code: "no_capacity", retryAfterS: 12 });
  });

  test("holds nobody else up while it waits", () => {
    const hub = scene();
    hub.submit(ownTask("a"));
    for (const name of ["b", "c", "d", "e"]) hub.submit(ownTask(name));
    expect(offersOf(hub.submit(task("others")))).toEqual(["stranger .1"]);
  });

  test("is not begun anew by a stranger where its worker is lost, refuses or fails", () => {
    const first = `${taskId("a")}.1`;
    const ends = {
      lost: (hub: HubScene) => lose(hub, "own"),
      refuses: (hub: HubScene) =>
        hub.send("own", { type: "task.refuse", attempt: first, reason: "busy" }),
      fails: (hub: HubScene) =>
        hub.send("own", {
          type: "task.fail",
          attempt: first,
          seq: 0,
          code: "engine_failed",
          message: "it fell over",
        }),
    };
    for (const [how, end] of Object.entries(ends)) {
      const hub = scene();
      hub.submit(ownTask("a"));
      const effects = [...end(hub), ...hub.tick(5_000), ...hub.tick(10_000)];
      expect([how, offersOf(effects)]).toEqual([how, []]);
      expect(endingsOf(effects)).toMatchObject([{ kind: "failed" }]);
    }
  });

  test("that is late has no stranger for a rival, though it is hedged", () => {
    const hub = scene();
    for (let at = 0; at < 30; at++) {
      noteFirstToken(hub.state.firstTokens, { digest, ms: 100, bodyChars: 1_000 });
    }
    // Others have a rival, on these same workers.
    const routing = { ...defaultRouting, sort: "price" as const };
    expect(offersOf(hub.submit(task("b", { hedge: true, routing })))).toEqual(["stranger .1"]);
    expect(offersOf(hub.tick(100))).toEqual(["own .2"]);
    const before = hub.nowMs;
    lose(hub, "own");
    hub.join("own", { listings: [able], slots: 1 });
    expect(offersOf(hub.submit(ownTask("a", { hedge: true })))).toEqual(["own .1"]);
    for (let ms = 200; ms <= 9_000; ms += 100) {
      expect(offersOf(hub.tick(before + ms))).toEqual([]);
    }
    expect(hub.state.attempts.get(`${taskId("a")}.1`)?.entry.rival).toBeNull();
  });
});

describe("an answer of an own worker that is lost in the middle", () => {
  /** The owner's worker has said something, and dies. */
  function broken(hub: HubScene) {
    hub.submit(ownTask("a"));
    hub.delta("own", `${taskId("a")}.1`, 0, "Once ");
    return lose(hub, "own");
  }

  test("is not continued by a stranger, and ends with an error that pays nobody", () => {
    const hub = scene();
    const effects = [...broken(hub), ...hub.tick(10_000)];
    expect(offersOf(effects)).toEqual([]);
    const [ending] = endingsOf(effects);
    expect(ending).toMatchObject({ kind: "failed", code: "worker_failed" });
    expect(hub.state.tasks.size).toBe(0);
  });

  test("is continued by another own worker", () => {
    const hub = scene();
    hub.step({
      kind: "session.opened",
      sessionId: "second",
      workerId: "worker second",
      accountId: "acct_own",
      region: "weur",
      version: 99,
      epoch: 0,
    });
    const listings = [able];
    hub.send("second", { type: "listing.publish", revision: 1, listings });
    hub.submit(ownTask("a"));
    hub.send("second", { type: "credit.grant", slots: 1 });
    hub.delta("own", `${taskId("a")}.1`, 0, "Once ");
    const effects = lose(hub, "own");
    expect(offersOf(effects)).toEqual(["second .2"]);
    expect(framesOf(effects, "task.offer")[0]?.prefix_parts).toBe(1);
    const second = `${taskId("a")}.2`;
    hub.delta("second", second, 0, "upon");
    const frame = endFrame("second", second, 1);
    const receipt = { ...frame.receipt.receipt, v: 2 as const, prefix_hash: "0".repeat(64) };
    const signed = { ...frame.receipt, receipt };
    const [ending] = endingsOf(hub.send("second", { ...frame, receipt: signed }));
    expect(ending).toMatchObject({ kind: "answered" });
  });
});

test("why a worker was chosen says that only own ones could be", () => {
  const hub = scene();
  const step = { nowMs: 0, random: () => 0 };
  expect(prospectOf(hub.state, ownTask("a"), step)).toMatchObject({
    kind: "chosen",
    route: {
      workerId: "worker own",
      ownOnly: true,
      excluded: { own: 1 },
      excludedExamples: [{ workerId: "worker stranger", reason: "own" }],
    },
  });
  const anybodys = prospectOf(hub.state, task("b"), step);
  expect(anybodys).toMatchObject({ kind: "chosen", route: { ownOnly: false, excluded: {} } });
});
