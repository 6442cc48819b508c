import { describe, expect, test } from "vitest";
import { emptyVetting } from "../../../edge/hub/vetting/vetting.ts";
import { emptyMemory } from "../../../edge/hub/sessions/worker-memory.ts";
import { slotsMax } from "../../../shared/protocol/limits.ts";
import {
  closesOf,
  endFrame,
  framesOf,
  HubScene,
  listing,
  offersOf,
  task,
  taskId,
} from "./hub-scene.ts";

const attempt = `${taskId("a")}.1`;

describe("a second connection of a worker", () => {
  test("takes over, and what ran on the first goes on elsewhere", () => {
    const scene = new HubScene();
    scene.join("v");
    scene.join("w");
    scene.submit(task("a"));
    scene.nowMs = 10;
    const effects = scene.open("v again", "v");
    expect(closesOf(effects)[0]).toMatch(/^v replaced: /);
    expect(offersOf(effects)).toEqual(["w .2"]);
    expect([...scene.state.sessions.keys()]).toEqual(["w", "v again"]);
  });

  test("leaves frames of the first without effect", () => {
    const scene = new HubScene();
    scene.join("v");
    scene.submit(task("a"));
    scene.nowMs = 10;
    scene.open("v again", "v");
    expect(scene.delta("v", attempt, 0, "late")).toEqual([]);
    expect(scene.send("v", { type: "credit.grant", slots: 1 })).toEqual([]);
  });

  test("that was made before the first does not take over, however late its proof comes", () => {
    const scene = new HubScene();
    scene.open("new", "v", 20);
    const effects = scene.open("old", "v", 10);
    expect(closesOf(effects)).toEqual([
      "old replaced: a newer connection with this identity took over",
    ]);
    expect([...scene.state.sessions.keys()]).toEqual(["new"]);
  });
});

describe("a worker lost in the middle of an answer", () => {
  test("is told of last as one that left: a measurement after it would bring it back", () => {
    const scene = new HubScene();
    scene.nowMs = 1_000_000_000;
    scene.join("v");
    scene.submit(task("a"));
    scene.delta("v", attempt, 0, "half an");
    const effects = scene.step({ kind: "session.closed", sessionId: "v", reason: "closed 1006" });
    expect(effects.map(({ kind }) => kind)).toEqual(["unlisted"]);
  });
});

describe("listings", () => {
  function resultOf(network: "local" | "public", listings: ReturnType<typeof listing>[]) {
    const scene = new HubScene({ network });
    scene.open("v");
    const effects = scene.send("v", { type: "listing.publish", revision: 1, listings });
    return framesOf(effects, "listing.result")[0];
  }

  test("of the synthetic engine are refused on a public network, and only there", () => {
    const made = [listing({ engine: "synthetic" })];
    expect(resultOf("public", made)).toMatchObject({
      listed: [],
      refused: [{ model: "m", reason: "the synthetic engine is for local networks only" }],
    });
    expect(resultOf("local", made)).toMatchObject({ listed: ["m"], refused: [] });
  });

  test("of a model twice count once", () => {
    const twice = [listing({ slots: 1 }), listing({ slots: 9 })];
    expect(resultOf("public", twice)).toMatchObject({
      listed: ["m"],
      refused: [{ model: "m", reason: "the model is listed twice" }],
    });
  });

  test("of an older revision change nothing", () => {
    const scene = new HubScene();
    scene.open("v");
    scene.send("v", { type: "listing.publish", revision: 2, listings: [listing()] });
    const older = { type: "listing.publish", revision: 1, listings: [] } as const;
    expect(scene.send("v", { ...older, listings: [] })).toEqual([]);
    expect(scene.state.sessions.get("v")?.listings).toHaveLength(1);
  });

  test("that come with a free slot take waiting tasks", () => {
    const scene = new HubScene();
    scene.join("v", { slots: 0 });
    scene.submit(task("a"));
    scene.open("w");
    scene.send("w", { type: "credit.grant", slots: 1 });
    const published = { type: "listing.publish", revision: 1, listings: [listing()] } as const;
    expect(offersOf(scene.send("w", { ...published, listings: [listing()] }))).toEqual(["w .1"]);
  });

  test("with a new price leave running attempts under the old one", () => {
    const scene = new HubScene();
    scene.join("v");
    scene.submit(task("a"));
    const dear = listing({ output_micros_per_million: 900 });
    scene.send("v", { type: "listing.publish", revision: 2, listings: [dear] });
    scene.delta("v", attempt, 0, "abc");
    expect(scene.end("v", attempt, 1).at(-1)).toMatchObject({
      ending: { kind: "answered", shares: [{ attempt: { listing: listing() } }] },
    });
  });
});

describe("a session", () => {
  test("that proves itself again is closed", () => {
    const scene = new HubScene();
    scene.open("v");
    const effects = scene.send("v", {
      type: "auth.prove",
      version: 1,
      worker: "w".repeat(43),
      agent: "a",
      signature: "s".repeat(86),
    });
    expect(closesOf(effects)).toEqual(["v malformed: a proof was already given"]);
  });

  test("never has more slots to offer than the protocol allows, whatever it grants", () => {
    const scene = new HubScene();
    scene.open("v");
    for (let more = 0; more < 3; more++) scene.send("v", { type: "credit.grant", slots: 256 });
    expect(scene.state.sessions.get("v")?.credits).toBe(slotsMax);
  });

  test("that drains gets no more offers and finishes what it has", () => {
    const scene = new HubScene();
    scene.join("v");
    scene.submit(task("a"));
    scene.send("v", { type: "worker.drain" });
    expect(offersOf(scene.submit(task("b")))).toEqual([]);
    expect(scene.end("v", attempt, 0).at(-1)).toMatchObject({ ending: { kind: "answered" } });
  });

  test("that was restored after a sleep serves like before", () => {
    const session = {
      id: "v",
      workerId: "worker v",
      accountId: "acct_v",
      region: "weur",
      roundTripMs: null,
      version: 1,
      epoch: 1,
      listings: [listing()],
      revision: 1,
      credits: 2,
      draining: false,
      vetting: emptyVetting(),
      hardware: null,
      memory: emptyMemory(),
    } as const;
    const awake = new HubScene();
    awake.step({ kind: "session.restored", session });
    expect(offersOf(awake.submit(task("a")))).toEqual(["v .1"]);
  });

  test("brings back receipts that others judge", () => {
    const scene = new HubScene();
    scene.join("v");
    const entries = [{ ticket: "t", signed: endFrame("v", attempt, 0).receipt }];
    const effects = scene.send("v", { type: "receipt.submit", entries });
    expect(effects).toMatchObject([{ kind: "receipts.submitted", sessionId: "v" }]);
  });

  test("that is closed twice is closed once", () => {
    const scene = new HubScene();
    scene.join("v");
    const closed = { kind: "session.closed", sessionId: "v", reason: "" } as const;
    expect(scene.step(closed).map(({ kind }) => kind)).toEqual(["unlisted"]);
    expect(scene.step(closed)).toEqual([]);
  });
});
