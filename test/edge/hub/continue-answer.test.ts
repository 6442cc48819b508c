import { describe, expect, test } from "vitest";
import type { HubEffect } from "../../../edge/hub/hub-state.ts";
import type { InferenceTask } from "../../../edge/inference/task.ts";
import type { OutputPart } from "../../../shared/openai/output.ts";
import { continuedAnswerSchema } from "../../../shared/protocol/task.ts";
import {
  closesOf,
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

const first = `${taskId("a")}.1`;
const second = `${taskId("a")}.2`;
const able = listing({ abilities: ["chat", "forced_prefix"] });

/** A task on worker `v`, with `w` beside it, both of whom can go on from a beginning. */
function running(changes: Partial<InferenceTask> = {}, others = [able]): HubScene {
  const scene = new HubScene();
  scene.join("v", { listings: [able] });
  scene.submit(task("a", changes));
  scene.join("w", { listings: others });
  return scene;
}

function say(scene: HubScene, name: string, seq: number, part: Partial<OutputPart>): HubEffect[] {
  const attempt = name === "v" ? first : second;
  const parts = [{ index: 0, tokens: 1, ...part }];
  return scene.send(name, { type: "task.delta", attempt, seq, parts });
}

function lose(scene: HubScene, name: string): HubEffect[] {
  return scene.step({ kind: "session.closed", sessionId: name, reason: "closed 1006" });
}

/** What the last offer's worker is to go on from. */
function prefixIn(effects: readonly HubEffect[]): unknown {
  const [offer] = framesOf(effects, "task.offer");
  if (offer?.prefix_parts === undefined) return null;
  const texts = framesOf(effects, "task.body").map(({ text }) => text);
  expect(texts).toHaveLength(offer.body_parts - 1 + offer.prefix_parts);
  const json = texts.slice(offer.body_parts - 1).join("");
  return continuedAnswerSchema.parse(JSON.parse(json));
}

/** The end of a continuation of `text`, whose worker made `completion` tokens. */
function endOf(scene: HubScene, completion: number, changes: object = {}): HubEffect[] {
  const usage = { prompt: 5, completion, cached: 0 };
  const frame = endFrame("w", second, 1, { usage });
  const receipt = { ...frame.receipt.receipt, v: 2 as const, prefix_hash: "0".repeat(64) };
  const signed = { ...frame.receipt, receipt: { ...receipt, ...changes } };
  return scene.send("w", { ...frame, receipt: signed });
}

describe("an answer whose worker is lost", () => {
  test("goes on with another worker from exactly what was delivered, in the same stream", () => {
    const scene = running();
    say(scene, "v", 0, { text: "Once ", tokens: 2, token_ids: [7, 8] });
    say(scene, "v", 1, { text: "upon", token_ids: [9] });
    const effects = lose(scene, "v");
    expect(offersOf(effects)).toEqual(["w .2"]);
    expect(prefixIn(effects)).toEqual({ text: "Once upon", token_ids: [7, 8, 9] });
    const more = say(scene, "w", 0, { text: " a time" });
    expect(more.map(({ kind }) => kind)).toEqual(["deliver"]);
  });

  test("is billed once for its prompt, and to each worker for what it made", () => {
    const scene = running();
    say(scene, "v", 0, { text: "Once upon", tokens: 3 });
    lose(scene, "v");
    say(scene, "w", 0, { text: " a time", tokens: 2 });
    const [ending] = endingsOf(endOf(scene, 2));
    expect(ending?.kind).toBe("answered");
    if (ending?.kind !== "answered") return;
    expect(ending.counts).toEqual({ promptTokens: 5, completionTokens: 5 });
    expect(ending.shares.map(({ attempt, counts }) => [attempt.id, counts])).toEqual([
      [first, { promptTokens: 0, completionTokens: 3 }],
      [second, { promptTokens: 5, completionTokens: 2 }],
    ]);
  });

  test("never costs more tokens than were asked for, whoever made them", () => {
    const scene = running({ completionTokensMax: 4 });
    say(scene, "v", 0, { text: "Once upon", tokens: 3 });
    lose(scene, "v");
    say(scene, "w", 0, { text: " a time", tokens: 2 });
    const [ending] = endingsOf(endOf(scene, 2));
    expect(ending).toMatchObject({ counts: { completionTokens: 4 } });
  });

  test("is continued by text alone where a worker did not name its tokens", () => {
    const scene = running();
    say(scene, "v", 0, { text: "Once", token_ids: [7] });
    say(scene, "v", 1, { text: " upon" });
    expect(prefixIn(lose(scene, "v"))).toEqual({ text: "Once upon", token_ids: null });
  });

  test("simply begins with another where no word had left", () => {
    const scene = running();
    say(scene, "v", 0, {});
    const effects = lose(scene, "v");
    expect(offersOf(effects)).toEqual(["w .2"]);
    expect(prefixIn(effects)).toBe(null);
    say(scene, "w", 0, { text: "Once" });
    const usage = { prompt: 5, completion: 1, cached: 0 };
    expect(howEnded(scene.end("w", second, 1, { usage }))).toBe("answered");
  });

  test("outlives several workers that each got it further", () => {
    const scene = running({ completionTokensMax: 1_000 });
    say(scene, "v", 0, { text: "0" });
    let effects = lose(scene, "v");
    for (let number = 2; number <= 6; number++) {
      const [name = "", attempt = ""] = [
        offersOf(effects)[0]?.split(" ")[0],
        `${taskId("a")}.${number}`,
      ];
      const parts = [{ index: 0, tokens: 1, text: String(number) }];
      scene.send(name, { type: "task.delta", attempt, seq: 0, parts });
      scene.join(`next-${number}`, { listings: [able] });
      effects = lose(scene, name);
    }
    expect(prefixIn(effects)).toMatchObject({ text: "023456" });
  });

  test("waits for its only worker to come back, and goes on with it", () => {
    const scene = new HubScene();
    scene.join("v", { listings: [able] });
    scene.submit(task("a"));
    say(scene, "v", 0, { text: "Once" });
    expect(howEnded(lose(scene, "v"))).toBe("");
    scene.nowMs = 4_000;
    scene.open("v again", "v");
    scene.send("v again", { type: "listing.publish", revision: 1, listings: [able] });
    const effects = scene.send("v again", { type: "credit.grant", slots: 1 });
    expect(offersOf(effects)).toEqual(["v again .2"]);
    expect(prefixIn(effects)).toMatchObject({ text: "Once" });
  });

  test("does not wait for a worker that has said goodbye", () => {
    const scene = new HubScene();
    scene.join("v", { listings: [able] });
    scene.submit(task("a"));
    say(scene, "v", 0, { text: "Once" });
    scene.send("v", { type: "worker.drain" });
    expect(howEnded(lose(scene, "v"))).toBe("worker_failed");
  });

  test.each([
    ["with other weights", listing({ ...able, digest: "e".repeat(64) })],
    ["that cannot go on from a beginning", listing()],
    ["that costs more than was agreed", { ...able, output_micros_per_million: 5_000 }],
  ])("is not continued by a worker %s", (_, other) => {
    const scene = running({}, [other]);
    say(scene, "v", 0, { text: "Once" });
    expect(offersOf(lose(scene, "v"))).toEqual([]);
    expect(howEnded(scene.tick(10_000))).toBe("worker_failed");
  });

  test("is not continued by a worker of the version before, which knows no beginnings", () => {
    const scene = new HubScene();
    scene.join("v", { listings: [able] });
    scene.submit(task("a"));
    scene.open("w", "w", 0, 1);
    scene.send("w", { type: "listing.publish", revision: 1, listings: [able] });
    scene.send("w", { type: "credit.grant", slots: 2 });
    say(scene, "v", 0, { text: "Once" });
    expect(offersOf(lose(scene, "v"))).toEqual([]);
  });

  test.each<[string, Partial<OutputPart>]>([
    ["a call of a tool", { tool_calls: [{ index: 0, id: "c", name: "f", arguments: "{" }] }],
    ["a thought", { reasoning: "Hm" }],
  ])("is not continued in the middle of %s", (_, part) => {
    const scene = running();
    say(scene, "v", 0, part);
    expect(howEnded(lose(scene, "v"))).toBe("worker_failed");
  });

  test("is paid as far as it went where the consumer leaves while nobody has it", () => {
    const scene = new HubScene();
    scene.join("v", { listings: [able] });
    scene.submit(task("a"));
    say(scene, "v", 0, { text: "Once upon", tokens: 3 });
    lose(scene, "v");
    const [ending] = endingsOf(scene.step({ kind: "consumer.gone", taskId: taskId("a") }));
    expect(ending).toMatchObject({ kind: "cancelled", counts: { completionTokens: 3 } });
  });

  test("costs its next worker the socket where the receipt is not of a continuation", () => {
    const scene = running();
    say(scene, "v", 0, { text: "Once" });
    lose(scene, "v");
    say(scene, "w", 0, { text: " upon" });
    const closed = closesOf(endOf(scene, 1, { v: 1, prefix_hash: undefined }));
    expect(closed[0]).toMatch(/^w malformed: .* the receipt's v is wrong/);
  });
});

describe("a worker that lies about its answer", () => {
  test("pays with its socket for tokens it names beyond all text, and the rest is text alone", () => {
    const scene = running();
    say(scene, "v", 0, { text: "Once", token_ids: Array.from({ length: 500 }, () => 1) });
    expect(prefixIn(lose(scene, "v"))).toEqual({ text: "Once", token_ids: null });
  });

  test("about its tokens does not keep others from going on: they get the text alone", () => {
    const scene = running();
    say(scene, "v", 0, { text: "Once", token_ids: [999_999_999] });
    lose(scene, "v");
    const code = "invalid_request" as const;
    const failure = { type: "task.fail", attempt: second, seq: 0, code, message: "no" } as const;
    const effects = scene.send("w", failure);
    expect(offersOf(effects)).toEqual(["w .3"]);
    expect(prefixIn(effects)).toEqual({ text: "Once", token_ids: null });
    expect(scene.state.sessions.get("w")?.memory.breaker.failures).toBe(0);
  });

  test("about how many tokens it made takes nothing from who follows", () => {
    const scene = running({ completionTokensMax: 100 });
    say(scene, "v", 0, { text: "x".repeat(100), tokens: 100, token_ids: [1, 2, 3] });
    lose(scene, "v");
    say(scene, "w", 0, { text: "y".repeat(60), tokens: 60 });
    const [ending] = endingsOf(endOf(scene, 60));
    expect(ending).toMatchObject({ counts: { completionTokens: 63 } });
  });

  test("and breaks the rules of the wire is not paid for what had come of it", () => {
    const scene = running();
    say(scene, "v", 0, { text: "garbage", tokens: 7 });
    const frame = endFrame("v", first, 1);
    const forged = { ...frame.receipt, receipt: { ...frame.receipt.receipt, worker: "x" } };
    expect(closesOf(scene.send("v", { ...frame, receipt: forged }))).toHaveLength(1);
    say(scene, "w", 0, { text: " and more", tokens: 2 });
    const [ending] = endingsOf(endOf(scene, 2));
    expect(ending).toMatchObject({ counts: { completionTokens: 2 } });
  });

  test("cannot fill the hub's memory with tokens that nobody asked for", () => {
    const scene = running({ streamed: false });
    const ids = Array.from({ length: 100_000 }, () => 1);
    let closed: string[] = [];
    for (let seq = 0; seq < 60 && closed.length === 0; seq++) {
      closed = closesOf(say(scene, "v", seq, { tokens: 0, text: "", token_ids: ids }));
    }
    expect(closed[0]).toMatch(/^v malformed: .* output of over \d+ bytes/);
    const [attempt] = scene.state.attempts.values();
    expect(attempt?.transcript.tokenIds ?? null).toBe(null);
  });
});

describe("an answer that several workers made one after the other", () => {
  test("does not carry tokens of one that nobody went on from", () => {
    const scene = running();
    say(scene, "v", 0, { text: "", token_ids: [1] });
    lose(scene, "v");
    scene.join("x", { listings: [able] });
    say(scene, "w", 0, { text: "Once", token_ids: [1, 2] });
    expect(prefixIn(lose(scene, "w"))).toEqual({ text: "Once", token_ids: [1, 2] });
  });

  test("takes no longer than one answer may, and ends before what is held for it returns", () => {
    const scene = running({ terms: { ...task("a").terms, expires_ms: 10_000_000 } });
    say(scene, "v", 0, { text: "Once" });
    for (let atMs = 20_000; atMs < 29 * 60_000; atMs += 20_000) {
      scene.nowMs = atMs;
      scene.step({ kind: "tick", unread: new Set([taskId("a")]) });
    }
    lose(scene, "v");
    say(scene, "w", 0, { text: " upon" });
    const effects = scene.tick(30 * 60_000);
    expect(framesOf(effects, "task.cancel")[0]?.reason).toBe("consumer_gone");
  });
});

describe("a worker in mid-answer", () => {
  /** The worker makes ten tokens, one every `gapMs`. */
  function paced(gapMs: number): HubScene {
    const scene = running();
    for (let seq = 0; seq < 10; seq++) {
      scene.nowMs += gapMs;
      say(scene, "v", seq, { text: "a" });
    }
    return scene;
  }

  test("that was fast and is silent for five seconds is lost, and another goes on", () => {
    const scene = paced(50);
    expect(scene.tick(scene.nowMs + 4_999)).toEqual([]);
    const effects = scene.tick(scene.nowMs + 1);
    expect(framesOf(effects, "task.cancel")[0]?.reason).toBe("stalled");
    expect(offersOf(effects)).toEqual(["w .2"]);
  });

  test("that is slow is given three times its own pace", () => {
    const scene = paced(4_000);
    expect(scene.tick(scene.nowMs + 10_000)).toEqual([]);
    expect(offersOf(scene.tick(scene.nowMs + 4_000))).toEqual(["w .2"]);
  });

  test("whose pace is not known yet is given the most there is", () => {
    const scene = running();
    say(scene, "v", 0, { text: "a" });
    expect(scene.tick(29_999)).toEqual([]);
    expect(offersOf(scene.tick(30_000))).toEqual(["w .2"]);
  });
});
