import { describe, expect, test } from "vitest";
import { digestOf } from "../../../edge/directory/digest.ts";
import type { Session } from "../../../edge/hub/hub-state.ts";
import { digest, framesOf, HubScene, listing, task } from "../hub/hub-scene.ts";

const hub = { hubId: "weur:0", region: "weur", atMs: 7, sessionsMax: 10 } as const;

function sessions(...offers: readonly Parameters<typeof listing>[0][]): Iterable<Session> {
  const scene = new HubScene();
  for (const [at, of] of offers.entries()) {
    scene.join(`w${at}`, { listings: [listing(of)], slots: 2 });
  }
  return scene.state.sessions.values();
}

describe("a hub's digest", () => {
  test("of nobody says so", () => {
    expect(digestOf(hub, [])).toEqual({ ...hub, sessions: 0, models: [] });
  });

  test("adds up the workers of one model and spans their prices", () => {
    const cheap = { input_micros_per_million: 50, output_micros_per_million: 100, slots: 1 };
    const dear = { input_micros_per_million: 40, output_micros_per_million: 900, slots: 4 };
    const [model, ...others] = digestOf(hub, sessions(cheap, dear)).models;
    expect(others).toEqual([]);
    expect(model).toMatchObject({
      model: "m",
      digest,
      workers: 2,
      slots: 5,
      // The first lists one slot, the second has granted two.
      freeSlots: 3,
      lowestPrice: { inputMicrosPerMillion: 50, outputMicrosPerMillion: 100 },
      highestPrice: { inputMicrosPerMillion: 50, outputMicrosPerMillion: 900 },
    });
  });

  test("keeps the same name with other weights apart", () => {
    const { models } = digestOf(hub, sessions({}, { digest: "e".repeat(64) }));
    expect(models.map((model) => model.digest)).toEqual([digest, "e".repeat(64)]);
  });

  test("tells the largest context, the highest class and which abilities go together", () => {
    const [model] = digestOf(
      hub,
      sessions(
        { abilities: ["chat", "tools"], context_tokens: 10, class_ceiling: "public" },
        { abilities: ["vision", "chat"], context_tokens: 99, class_ceiling: "confidential" },
        { abilities: ["chat", "vision"] },
      ),
    ).models;
    expect(model).toMatchObject({ contextTokens: 1_000, classCeiling: "confidential" });
    expect(model?.abilities.toSorted()).toEqual(["chat", "tools", "vision"]);
    expect(model?.abilitySets).toEqual([
      ["chat", "tools"],
      ["chat", "vision"],
    ]);
  });

  test("leaves out what a leaving worker offers, and still counts its socket", () => {
    const scene = new HubScene();
    scene.join("w");
    scene.send("w", { type: "worker.drain" });
    expect(digestOf(hub, scene.state.sessions.values())).toMatchObject({ sessions: 1, models: [] });
  });

  test("keeps weights of other precision or identity apart, so that one worker meets a demand", () => {
    const { models } = digestOf(
      hub,
      sessions(
        { bits_per_weight: 8.5 },
        { bits_per_weight: 4.5 },
        { bits_per_weight: 8.5, identity: "declared" },
        { bits_per_weight: 8.5 },
      ),
    );
    expect(models.map((of) => [of.bitsPerWeight, of.identity, of.workers])).toEqual([
      [8.5, "content", 2],
      [4.5, "content", 1],
      [8.5, "declared", 1],
    ]);
  });

  test("tells what workers declare and what was measured of them apart", () => {
    const scene = new HubScene();
    const speed = {
      first_token_ms: 10,
      prompt_tokens_per_s: 1_000,
      decode_tokens_per_s: 80,
      decode_tokens_per_s_full: 200,
      context_tokens: 500,
    };
    scene.join("v", { listings: [listing({ speed })] });
    scene.join("w", { listings: [listing()] });
    const of = () => digestOf(hub, scene.state.sessions.values()).models[0];
    expect(of()).toMatchObject({
      declared: { firstTokenMs: 10, promptTokensPerS: 1_000, decodeTokensPerS: 80 },
      measured: null,
    });
    scene.random = () => 0.9;
    const offered = scene.submit(task("a"));
    scene.nowMs = 250;
    const { attempt } = framesOf(offered, "task.offer")[0] ?? { attempt: "" };
    scene.delta("w", attempt, 0, "hello");
    scene.end("w", attempt, 1);
    expect(of()?.measured).toEqual({
      firstTokenMs: 250,
      decodeTokensPerS: null,
      successShare: 1,
      samples: 1,
    });
  });

  test("has no room on workers that are left alone after failures, until that is over", () => {
    const scene = new HubScene();
    scene.join("v", { slots: 2 });
    const [session] = scene.state.sessions.values();
    if (session === undefined) throw new Error("it has joined");
    session.memory.breaker = { failures: 3, openings: 1, untilMs: hub.atMs + 1 };
    const freeAt = (atMs: number) =>
      digestOf({ ...hub, atMs }, scene.state.sessions.values()).models[0]?.freeSlots;
    expect([freeAt(hub.atMs), freeAt(hub.atMs + 1)]).toEqual([0, 2]);
  });
});
