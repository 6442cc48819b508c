import { expect, test } from "vitest";
import { createSyntheticEngine } from "../../../worker-agent/engine/synthetic/synthetic.ts";
import type { Availability } from "../../../worker-agent/serving/availability.ts";
import type { ModelView } from "../../../worker-agent/serving/serving.ts";
import { StatusBoard } from "../../../worker-agent/state/status-board.ts";
import {
  agentStatusSchema,
  readStatus,
  writeStatus,
} from "../../../worker-agent/state/status-file.ts";
import { SessionDriver, offerFor, welcome } from "../connection/session-driver.ts";
import { scratchFolder } from "../models/scratch-folder.ts";

const today = {
  date: "2026-11-20",
  tasks: { complete: 0, cancelled: 0, failed: 0 },
  prompt_tokens: 0,
  completion_tokens: 0,
  gross_micros: 0,
};
const open: Availability = { kind: "open", sinceMs: 5 };
const well: ModelView = { health: { kind: "ready" }, isLoaded: true, notOffered: null };

/** A board beside a session that a test drives. */
class World {
  readonly driver = new SessionDriver();
  readonly board = new StatusBoard({
    worker: "W".repeat(43),
    edge: "https://edge.example",
    engines: [{ name: "words", engine: createSyntheticEngine({ slots: 2 }), speed: null }],
    unserved: [{ name: "huge", reason: "It does not fit" }],
  });

  status(availability = open, view = well) {
    const status = this.board.status({
      session: this.driver.state,
      pendingReceipts: 3,
      availability,
      view: () => view,
      today,
    });
    return agentStatusSchema.parse(status);
  }

  serve(): this {
    this.driver.serve();
    this.board.notice({ kind: "connected", welcome, hub: "weur:0" });
    return this;
  }
}

test("a worker that serves tells its models, and that tasks can come", () => {
  const world = new World().serve();
  world.driver.frame(offerFor(1));
  world.board.made("words", 500);
  const status = world.status();
  expect(status).toMatchObject({
    connection: "serving",
    no_work: null,
    hub: "weur:0",
    pending_receipts: 3,
    unserved: [{ name: "huge", reason: "It does not fit" }],
  });
  expect(status.models).toMatchObject([
    { name: "words", listed: true, not_listed: null, slots: 2, running: 1, health: "ready" },
  ]);
  expect(status.tokens_per_s).toBeGreaterThan(50);
  expect(status.rss_bytes).toBeGreaterThan(1_000_000);
});

test.for([
  ["paused", { kind: "closed", cause: "paused", reason: "You paused it", sinceMs: 1, untilMs: 2 }],
  ["hours", { kind: "closed", cause: "hours", reason: "It is late", sinceMs: 1, untilMs: null }],
] as const)("a worker that is closed (%s) says why no work comes", ([, availability]) => {
  const status = new World().serve().status(availability);
  expect(status.no_work).toBe(availability.reason);
});

test("a worker without a connection says what ended the last one", () => {
  const world = new World();
  expect(world.status().no_work).toBe("The worker is connecting");
  world.serve();
  world.driver.tell({ kind: "closed", code: 1006, reason: "" });
  const lost = { kind: "disconnected", code: 1006, reason: "", retryMs: 1 } as const;
  for (let loss = 0; loss < 20; loss++) world.board.notice(lost);
  const status = world.status();
  expect(status.no_work).toBe("The worker is not connected: the connection broke");
  expect(status.connections).toHaveLength(16);
  expect(status.connections.at(-1)).toMatchObject({ kind: "disconnected", code: 1006 });
  expect(status.connected_ms).toBeNull();
});

test("a model that is not listed says why: itself first, then the edge", () => {
  const world = new World().serve();
  world.driver.offers();
  const ill: ModelView = {
    health: { kind: "failing", reason: "The GPU is gone" },
    isLoaded: false,
    notOffered: "The GPU is gone",
  };
  expect(world.status(open, ill)).toMatchObject({
    no_work: "No model is listed: The GPU is gone",
    models: [{ listed: false, not_listed: "The GPU is gone", health: "failing", loaded: false }],
  });
  const refused = [{ model: "words", reason: "too slow" }];
  const result = { type: "listing.result", revision: 2, listed: [], refused } as const;
  world.board.notice({ kind: "listed", result: { ...result, listed: [], refused } });
  expect(world.status().models[0]?.not_listed).toBe("The edge refused: too slow");
});

test("a model that the edge still checks is not listed, and what was struck from it is told", () => {
  const world = new World().serve();
  const result = { type: "listing.result", revision: 1, listed: ["words"], refused: [] } as const;
  const struck = [{ model: "words", ability: "tools", reason: "it called none" }];
  world.board.notice({
    kind: "listed",
    result: { ...result, listed: ["words"], refused: [], checking: ["words"] },
  });
  expect(world.status().models[0]).toMatchObject({
    listed: false,
    not_listed: "The edge is checking what it can do",
  });
  world.board.notice({
    kind: "listed",
    result: { ...result, listed: ["words"], refused: [], struck },
  });
  expect(world.status().models[0]).toMatchObject({
    listed: true,
    not_listed: null,
    struck: [{ ability: "tools", reason: "it called none" }],
  });
});

test("a worker that leaves says so before anything else", () => {
  const world = new World().serve();
  world.driver.frame(offerFor(1));
  world.driver.tell({ kind: "drain" });
  expect(world.status()).toMatchObject({ draining: true, no_work: "The worker is leaving" });
});

test("a status is read as it was written; one of another version is none", async () => {
  await using scratch = await scratchFolder();
  const status = new World().serve().status();
  await writeStatus(scratch.path, status);
  expect(await readStatus(scratch.path)).toEqual(status);
  const other = { ...status, v: 1 };
  await writeStatus(scratch.path, other as unknown as typeof status);
  expect(await readStatus(scratch.path)).toBeNull();
});
