import { describe, expect, test } from "vitest";
import {
  emptyMemory,
  lastingMemory,
  rememberSpeed,
  rememberVerdict,
  speedOf,
  verdictKey,
  verdictOn,
} from "../../../edge/hub/sessions/worker-memory.ts";
import { framesOf, HubScene, listing, task, taskId } from "./hub-scene.ts";

const attempt = `${taskId("a")}.1`;
const clean = { struck: [], refused: null, atMs: 0, dueMs: 0, failures: 0 };
const one = { model: "m", digest: "d", isSuccess: true, running: 1 } as const;

describe("what is measured", () => {
  test("is an average in which the newest counts a fifth, once there are a few", () => {
    const memory = emptyMemory();
    for (const firstTokenMs of [100, 200, 300, 100, 200]) {
      rememberSpeed(memory, { ...one, firstTokenMs, decodeTokensPerS: null });
    }
    const before = speedOf(memory, one)?.firstTokenMs ?? 0;
    expect(before).toBeCloseTo(180);
    rememberSpeed(memory, { ...one, firstTokenMs: 1_000, decodeTokensPerS: 50 });
    expect(speedOf(memory, one)).toMatchObject({ samples: 6, decodeTokensPerS: 50 });
    expect(speedOf(memory, one)?.firstTokenMs).toBeCloseTo(before + 0.2 * (1_000 - before));
  });

  test("counts failures, which say nothing of the pace", () => {
    const memory = emptyMemory();
    rememberSpeed(memory, { ...one, firstTokenMs: 100, decodeTokensPerS: 100 });
    rememberSpeed(memory, {
      ...one,
      isSuccess: false,
      firstTokenMs: null,
      decodeTokensPerS: null,
    });
    const paces = { firstTokenMs: 100, decodeTokensPerS: 100 };
    expect(speedOf(memory, one)).toMatchObject({ successShare: 0.5, ...paces });
  });

  test("of more models than a worker may list is forgotten, the oldest first", () => {
    const memory = emptyMemory();
    for (let at = 0; at < 100; at++) {
      const model = `m${at}`;
      rememberSpeed(memory, { ...one, model, firstTokenMs: 1, decodeTokensPerS: 1 });
      rememberVerdict(memory, { ...clean, key: model });
    }
    expect(memory.speeds).toHaveLength(64);
    expect(memory.verdicts.at(0)?.key).toBe("m36");
  });
});

describe("a verdict", () => {
  const struck = [{ ability: "tools", reason: "no" }];

  test("is of a name, weights, an engine, a context and a set of abilities, in any order", () => {
    const base = listing({ abilities: ["chat", "seed"] });
    const same = { ...base, abilities: ["seed", "chat"], slots: 9 };
    expect(verdictKey(same)).toBe(verdictKey(base));
    for (const other of [
      { model: "never-probed-405b" },
      { digest: "e".repeat(64) },
      { quantization: "F16" },
      { bits_per_weight: 16 },
      { identity: "declared" as const },
      { engine: "vllm" },
      { context_tokens: 7 },
      { abilities: ["chat"] },
    ]) {
      expect(verdictKey({ ...base, ...other })).not.toBe(verdictKey(base));
    }
  });

  test("is kept under a few characters, however long its claim", () => {
    const params = Array.from({ length: 63 }, (_, at) => `param:${"p".repeat(50)}${at}`);
    expect(verdictKey(listing({ abilities: ["chat", ...params] })).length).toBe(43);
  });

  test("with something struck or refused is not kept on the disk", () => {
    const memory = emptyMemory();
    const good = { ...clean, key: "good" };
    rememberVerdict(memory, good);
    rememberVerdict(memory, { ...clean, key: verdictKey(listing()), struck });
    rememberVerdict(memory, { ...clean, key: "bad", refused: "no" });
    expect(verdictOn(memory, verdictKey(listing()))?.struck).toEqual(struck);
    expect(lastingMemory(memory).verdicts).toEqual([good]);
  });
});

describe("an attempt", () => {
  function served(textMs: readonly number[]) {
    const scene = new HubScene();
    scene.join("v");
    const effects = scene.submit(task("a"));
    for (const [seq, atMs] of textMs.entries()) {
      scene.nowMs = atMs;
      scene.delta("v", attempt, seq, "some words");
    }
    return { scene, effects };
  }

  function speed(scene: HubScene) {
    return speedOf(scene.state.sessions.get("v")?.memory ?? emptyMemory(), listing());
  }

  test("tells its worker's first token and pace, and the registry once a minute", () => {
    const { scene } = served([100, 150, 200, 250, 300, 350, 400, 450, 500]);
    expect(scene.end("v", attempt, 9).map(({ kind }) => kind)).not.toContain("measured");
    expect(speed(scene)).toMatchObject({ firstTokenMs: 100, successShare: 1, samples: 1 });
    expect(speed(scene)?.decodeTokensPerS).toBeCloseTo((9 * 1000) / 400);
    scene.nowMs = 60_000;
    const again = scene.submit(task("b"));
    const second = framesOf(again, "task.offer")[0]?.attempt ?? "";
    scene.send("v", { type: "credit.grant", slots: 1 });
    expect(scene.end("v", second, 0).map(({ kind }) => kind)).toContain("measured");
  });

  test("whose consumer did not read says nothing of its pace", () => {
    const { scene } = served([100, 110, 120, 130, 140, 150, 160, 170, 180]);
    scene.nowMs = 5_000;
    scene.step({ kind: "tick", unread: new Set([taskId("a")]) });
    scene.nowMs = 6_000;
    scene.end("v", attempt, 9);
    expect(speed(scene)).toMatchObject({ firstTokenMs: 100, decodeTokensPerS: null });
  });

  test("counts no token before its bytes, and no more tokens than bytes", () => {
    const { scene } = served([]);
    const delta = (seq: number, part: object) => {
      const parts = [{ index: 0, tokens: 0, ...part }];
      scene.send("v", { type: "task.delta", attempt, seq, parts });
    };
    scene.nowMs = 1;
    delta(0, {});
    scene.nowMs = 9_000;
    delta(1, { tokens: 1_000_000, text: "x" });
    scene.nowMs = 10_000;
    delta(2, { text: "123456789" });
    scene.end("v", attempt, 3);
    expect(speed(scene)).toMatchObject({ firstTokenMs: 9_000, decodeTokensPerS: 10 });
  });

  test("whose answer is a document has no pace", () => {
    const scene = new HubScene();
    scene.join("v", { listings: [listing({ abilities: ["images"] })] });
    scene.submit(task("a", { kind: "image", demands: ["images"], streamed: false }));
    for (let seq = 0; seq < 9; seq++) {
      scene.nowMs += 100;
      scene.delta("v", attempt, seq, "iVBORw0KGgo");
    }
    scene.end("v", attempt, 9);
    expect(speed(scene)).toMatchObject({ firstTokenMs: 100, decodeTokensPerS: null });
  });

  test("that fails counts against its worker, one that was refused or wrong to ask does not", () => {
    const failing = served([]);
    const frame = { type: "task.fail", attempt, seq: 0, message: "x" } as const;
    failing.scene.send("v", { ...frame, code: "engine_failed" });
    expect(speed(failing.scene)).toMatchObject({ successShare: 0, samples: 1 });
    const asked = served([]);
    asked.scene.send("v", { ...frame, code: "context_length_exceeded" });
    expect(speed(asked.scene)).toBeNull();
    const refusing = served([]);
    refusing.scene.send("v", { type: "task.refuse", attempt, reason: "busy" });
    expect(speed(refusing.scene)).toBeNull();
  });

  test("that ends as its worker is lost is remembered with what was known of the worker", () => {
    const { scene } = served([100]);
    const effects = scene.step({ kind: "session.closed", sessionId: "v", reason: "gone" });
    const left = effects.find((effect) => effect.kind === "unlisted");
    const memory = left?.kind === "unlisted" ? left.session.memory : emptyMemory();
    expect(speedOf(memory, listing())).toMatchObject({ successShare: 0 });
  });
});
