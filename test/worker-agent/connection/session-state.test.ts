import { expect, test } from "vitest";
import { closeCodes } from "../../../shared/protocol/close-codes.ts";
import { provenMessage } from "../../../shared/protocol/handshake.ts";
import { SessionDriver, challenge, offerFor, settings, welcome, words } from "./session-driver.ts";

const other = { ...words, model: "other", slots: 1 };

test("a worker dials, proves itself over all it was told, publishes, and grants its slots", () => {
  const driver = new SessionDriver({ account: "acct_x" });
  expect(driver.tell({ kind: "start" }).map(({ kind }) => kind)).toContain("dial");
  driver.tell({ kind: "opened" });
  const { hub, nonce } = challenge;
  const { worker, origin, agent } = settings;
  const proof = { hub, nonce, worker, origin, agent, version: 1, account: "acct_x" };
  const message = provenMessage(proof);
  expect(driver.frame(challenge)).toEqual([{ kind: "sign", message }]);
  driver.tell({ kind: "signed", message, signature: "S".repeat(86) });
  driver.frame(welcome);
  driver.frame({ type: "listing.result", revision: 1, listed: ["words"], refused: [] });
  expect(driver.frames.map(({ type }) => type)).toEqual([
    "auth.prove",
    "listing.publish",
    "credit.grant",
  ]);
  expect(driver.frames.at(-1)).toEqual({ type: "credit.grant", slots: 2 });
  expect(driver.did("submit-receipts")).toBe(true);
});

test("the machine is told with every set of listings, where it was looked at", () => {
  const gpus = [{ name: "A card", memory_bytes: 25_757_220_864, driver: "550.54.14" }];
  const machine = { cpu: "A processor", physical_cores: 8, memory_bytes: 2 ** 35, gpus };
  const hardware = { ...machine, tier: "prosumer" as const };
  const driver = new SessionDriver({ hardware }).serve();
  driver.tell({ kind: "listings", listings: [words, other] });
  const published = driver.frames.filter(({ type }) => type === "listing.publish");
  expect(published).toMatchObject([
    { revision: 1, hardware },
    { revision: 2, hardware },
  ]);
  const bare = new SessionDriver().serve();
  expect(bare.frames.find(({ type }) => type === "listing.publish")).not.toHaveProperty("hardware");
});

test("a signature made for an earlier challenge proves nothing", () => {
  const driver = new SessionDriver();
  driver.tell({ kind: "start" });
  driver.tell({ kind: "opened" });
  driver.frame(challenge);
  driver.tell({ kind: "signed", message: "another", signature: "S".repeat(86) });
  expect(driver.frames).toEqual([]);
});

test.for([
  [{ version: 5, floor: 3 }, "update it with npm"],
  [{ network: "public" as const, engine: "synthetic" }, "a public network"],
  [{ network: "local" as const, engine: "synthetic", isLoopback: false }, "on another machine"],
] as const)("a worker that has no business with a hub stops and says why: %o", ([given, said]) => {
  const {
    engine = "llama.cpp",
    isLoopback = true,
    ...changes
  } = {
    ...(given as { engine?: string; isLoopback?: boolean }),
  };
  const driver = new SessionDriver({ isLoopback, listings: [{ ...words, engine }] });
  driver.tell({ kind: "start" });
  driver.tell({ kind: "opened" });
  const effects = driver.frame({ ...challenge, ...changes });
  expect(effects.at(-1)).toEqual({
    kind: "stop",
    stop: { kind: "final", reason: expect.stringContaining(said) },
  });
});

test("an older hub is spoken to in its own version", () => {
  const driver = new SessionDriver();
  driver.tell({ kind: "start" });
  driver.greet();
  expect(driver.frames[0]).toMatchObject({ type: "auth.prove", version: 1 });
});

test("frames out of place close the socket as malformed, and the worker comes back", () => {
  const driver = new SessionDriver();
  driver.tell({ kind: "start" });
  driver.tell({ kind: "opened" });
  const effects = driver.frame(offerFor(1));
  expect(effects).toContainEqual({
    kind: "hang-up",
    code: closeCodes.malformed,
    reason: "task.offer has no place here",
  });
  expect(driver.timers.has("retry")).toBe(true);
});

test("a handshake that does not come to an end is given up", () => {
  const driver = new SessionDriver();
  driver.tell({ kind: "start" });
  expect(driver.fire("handshake").map(({ kind }) => kind)).toContain("hang-up");
  expect(driver.fire("retry").map(({ kind }) => kind)).toContain("dial");
});

test("every offer uses a credit, and every attempt that is over grants it again", () => {
  const driver = new SessionDriver().serve();
  const first = offerFor(1);
  expect(driver.frame(first)).toEqual([{ kind: "start-attempt", offer: first, paceMs: 50 }]);
  driver.frame(offerFor(2));
  expect(driver.frame(offerFor(3))[0]).toMatchObject({ frame: { reason: "busy" } });
  const effects = driver.tell({ kind: "attempt-over", attempt: first.attempt });
  expect(effects).toEqual([{ kind: "send", frame: { type: "credit.grant", slots: 1 } }]);
});

test("the same offer twice is one attempt", () => {
  const driver = new SessionDriver().serve();
  driver.frame(offerFor(1));
  expect(driver.frame(offerFor(1))).toEqual([]);
});

test("a model with all its slots taken is busy while another has room", () => {
  const driver = new SessionDriver({ listings: [words, other] }).serve();
  driver.frame(offerFor(1, { model: "other" }));
  expect(driver.frame(offerFor(2, { model: "other" }))[0]).toMatchObject({
    frame: { type: "task.refuse", reason: "busy" },
  });
  expect(driver.frame(offerFor(3))[0]).toMatchObject({ kind: "start-attempt" });
});

test("only listed models are granted for and served", () => {
  const wide = { ...other, slots: 8 };
  const driver = new SessionDriver({ listings: [words, wide] });
  driver.tell({ kind: "start" });
  driver.greet();
  driver.frame(welcome);
  const refused = [{ model: "other", reason: "too slow" }];
  driver.frame({ type: "listing.result", revision: 1, listed: ["words"], refused });
  expect(driver.frames.at(-1)).toEqual({ type: "credit.grant", slots: 2 });
  expect(driver.frame(offerFor(1, { model: "other" }))[0]).toMatchObject({
    frame: { reason: "unknown_model" },
  });
});

test("an answer to an earlier revision of the listings has no effect", () => {
  const driver = new SessionDriver();
  driver.tell({ kind: "start" });
  driver.greet();
  driver.frame(welcome);
  expect(
    driver.frame({ type: "listing.result", revision: 7, listed: ["words"], refused: [] }),
  ).toEqual([]);
});

test("frames for attempts that are not held have no effect", () => {
  const driver = new SessionDriver().serve();
  const { attempt } = offerFor(1);
  expect(driver.frame({ type: "task.cancel", attempt, reason: "stalled" })).toEqual([]);
  expect(driver.frame({ type: "task.window", attempt, bytes: 5 })).toEqual([]);
});

test("a hub that says nothing for three heartbeats is left; one that only pongs is not", () => {
  const driver = new SessionDriver().serve();
  for (let beat = 0; beat < 5; beat++) {
    expect(driver.fire("heartbeat")[0]).toEqual({ kind: "ping" });
    driver.tell({ kind: "heard" });
  }
  driver.fire("heartbeat");
  driver.fire("heartbeat");
  expect(driver.fire("heartbeat")[0]).toMatchObject({ kind: "hang-up", code: closeCodes.silent });
});

test("a slot that an attempt of a lost socket still holds is not granted on the next", () => {
  const driver = new SessionDriver().serve();
  driver.frame(offerFor(1));
  driver.tell({ kind: "closed", code: 1006, reason: "" });
  driver.fire("retry");
  driver.serve();
  expect(driver.frames.at(-1)).toEqual({ type: "credit.grant", slots: 1 });
  expect(driver.frames.findLast(({ type }) => type === "listing.publish")).toMatchObject({
    revision: 2,
  });
  driver.tell({ kind: "attempt-over", attempt: offerFor(1).attempt });
  expect(driver.frames.at(-1)).toEqual({ type: "credit.grant", slots: 1 });
});

test.for([
  ["replaced", closeCodes.replaced],
  ["versionTooOld", closeCodes.versionTooOld],
] as const)("a close that says %s is final", ([name, code]) => {
  const driver = new SessionDriver().serve();
  const effects = driver.tell({ kind: "closed", code, reason: name });
  expect(effects.at(-1)).toEqual({ kind: "stop", stop: { kind: "final", reason: name } });
  expect(driver.timers.size).toBe(0);
  expect(driver.tell({ kind: "start" })).toEqual([]);
});

test.for([
  1000 + 1,
  1006,
  1012,
  closeCodes.restart,
  closeCodes.hubFull,
  closeCodes.flood,
  closeCodes.refused,
])("a close with %i is not final", (code) => {
  const driver = new SessionDriver().serve();
  driver.tell({ kind: "closed", code, reason: "" });
  expect(driver.state.phase.kind).toBe("waiting");
  expect(driver.fire("retry").map(({ kind }) => kind)).toContain("dial");
});

test("a draining worker waits for its attempts, then makes receipts safe, then leaves", () => {
  const driver = new SessionDriver().serve();
  const offer = offerFor(1);
  driver.frame(offer);
  driver.tell({ kind: "drain" });
  expect(driver.frames.at(-1)).toEqual({ type: "worker.drain" });
  expect(driver.frame(offerFor(2))[0]).toMatchObject({ frame: { reason: "draining" } });
  const over = driver.tell({ kind: "attempt-over", attempt: offer.attempt });
  expect(over).toEqual([{ kind: "flush-receipts" }]);
  expect(driver.tell({ kind: "flushed" }).slice(-2)).toEqual([
    { kind: "hang-up", code: 1000, reason: "drained" },
    { kind: "stop", stop: { kind: "drained" } },
  ]);
});

test("a drain that takes too long stops the attempts, and goes without an engine that hangs", () => {
  const driver = new SessionDriver().serve();
  driver.frame(offerFor(1));
  driver.tell({ kind: "drain" });
  expect(driver.fire("drain")[0]).toEqual({ kind: "stop-attempts" });
  expect(driver.fire("drain")).toEqual([{ kind: "flush-receipts" }]);
});

test("a worker that drains without a connection leaves without one", () => {
  const driver = new SessionDriver();
  driver.tell({ kind: "start" });
  driver.tell({ kind: "closed", code: 1006, reason: "" });
  expect(driver.tell({ kind: "drain" }).at(-1)).toEqual({ kind: "flush-receipts" });
  driver.tell({ kind: "flushed" });
  expect(driver.state.phase).toEqual({ kind: "stopped", stop: { kind: "drained" } });
  expect(driver.timers.size).toBe(0);
});

test("a connection lost while draining is not made again", () => {
  const driver = new SessionDriver().serve();
  driver.frame(offerFor(1));
  driver.tell({ kind: "drain" });
  driver.tell({ kind: "closed", code: 1006, reason: "" });
  expect(driver.timers.has("retry")).toBe(false);
  driver.tell({ kind: "attempt-over", attempt: offerFor(1).attempt });
  driver.tell({ kind: "flushed" });
  expect(driver.state.phase).toMatchObject({ stop: { kind: "drained" } });
});

test("receipts are submitted a few frames a second until none is left", () => {
  const driver = new SessionDriver().serve();
  driver.tell({ kind: "submitted", left: 3 });
  expect(driver.fire("submit")).toEqual([{ kind: "submit-receipts", isFirst: false }]);
  driver.tell({ kind: "submitted", left: 0 });
  expect(driver.timers.has("submit")).toBe(false);
});

test("another set of listings is published at once, under the next revision", () => {
  const driver = new SessionDriver().serve();
  expect(driver.tell({ kind: "listings", listings: [words, other] })).toEqual([
    {
      kind: "send",
      frame: { type: "listing.publish", revision: 2, listings: [words, other] },
    },
  ]);
  const listed = ["words", "other"];
  const result = { listed, refused: [] };
  expect(driver.frame({ ...result, type: "listing.result", revision: 1 })).toEqual([]);
  const effects = driver.frame({ ...result, type: "listing.result", revision: 2 });
  expect(effects.at(-1)).toEqual({ kind: "send", frame: { type: "credit.grant", slots: 1 } });
});

test("listings that change without a connection are published with the next welcome", () => {
  const driver = new SessionDriver().serve();
  driver.tell({ kind: "closed", code: 1006, reason: "" });
  expect(driver.tell({ kind: "listings", listings: [other] })).toEqual([]);
  driver.fire("retry");
  driver.serve();
  expect(driver.frames.findLast(({ type }) => type === "listing.publish")).toEqual({
    type: "listing.publish",
    revision: 2,
    listings: [other],
  });
  expect(driver.frames.at(-1)).toEqual({ type: "credit.grant", slots: 1 });
});

test("a withdrawn model is refused at once, before the hub has heard of it", () => {
  const driver = new SessionDriver().serve();
  driver.tell({ kind: "listings", listings: [] });
  expect(driver.frame(offerFor(1))[0]).toMatchObject({
    frame: { type: "task.refuse", reason: "unknown_model" },
  });
});

test("what runs of a withdrawn model ends in peace, and its slot is granted no more", () => {
  const driver = new SessionDriver({ listings: [words, other] }).serve();
  driver.frame(offerFor(1));
  const effects = driver.offers(other);
  expect(effects.map(({ kind }) => kind)).toEqual(["send"]);
  const { attempt } = offerFor(1);
  expect(driver.frame({ type: "task.window", attempt, bytes: 5 })).toHaveLength(1);
  expect(driver.tell({ kind: "attempt-over", attempt })).toEqual([]);
});

test("attempts of a withdrawn model take no slots from a model that is still listed", () => {
  const driver = new SessionDriver({ listings: [words, other] }).serve();
  driver.frame(offerFor(1));
  driver.frame(offerFor(2));
  driver.frame(offerFor(3, { model: "other" }));
  driver.offers(other);
  const effects = driver.tell({ kind: "attempt-over", attempt: offerFor(3).attempt });
  expect(effects).toEqual([{ kind: "send", frame: { type: "credit.grant", slots: 1 } }]);
});

test("a model that stays listed is served while the hub has not answered a new revision", () => {
  const driver = new SessionDriver({ listings: [words, other] }).serve();
  driver.tell({ kind: "listings", listings: [words] });
  expect(driver.frame(offerFor(1))[0]).toMatchObject({ kind: "start-attempt" });
});

test("a model that comes back as another file is not served until the hub lists it", () => {
  const driver = new SessionDriver().serve();
  const digest = "1".repeat(64);
  driver.tell({ kind: "listings", listings: [{ ...words, digest }] });
  expect(driver.frame(offerFor(1, { digest }))[0]).toMatchObject({
    frame: { reason: "unknown_model" },
  });
});

test("a worker that offers nothing keeps its connection, and serves again when it does", () => {
  const driver = new SessionDriver().serve();
  driver.offers();
  expect(driver.fire("heartbeat")[0]).toEqual({ kind: "ping" });
  driver.offers(words);
  expect(driver.frame(offerFor(1))[0]).toMatchObject({ kind: "start-attempt" });
});
