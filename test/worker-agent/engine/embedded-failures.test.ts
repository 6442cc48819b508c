import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openEmbeddedEngine } from "../../../worker-agent/engine/embedded/embedded-llama.ts";
import type { Engine } from "../../../worker-agent/engine/engine.ts";
import { bundledModelPath } from "../../../worker-agent/models/model-source.ts";
import { breakDecoding, breakSequences } from "./break-llama.ts";
import { chat, collect } from "./collect.ts";
import type { TinyEngine } from "./tiny-engine.ts";
import { openTinyEngine } from "./tiny-engine.ts";

const never = new AbortController().signal;

let tiny: TinyEngine;
let engine: Engine;

beforeEach(async () => {
  tiny = await openTinyEngine({ slots: 2 });
  engine = tiny.engine;
});
afterEach(() => tiny[Symbol.asyncDispose]());

const question = chat("What is this?", { temperature: 0 });
const story = chat("Tell me a long story about an octopus", { temperature: 0, max_tokens: 60 });

describe("when decoding fails", () => {
  test("the task says so, and the next one is served", async () => {
    const { texts } = await collect(engine, question);
    {
      using _ = breakDecoding("Eval has failed", () => true);
      await expect(collect(engine, question)).rejects.toMatchObject({
        code: "engine_failed",
        message: "The engine failed while generating",
      });
    }
    expect(await engine.health(never)).toEqual({ kind: "ready" });
    expect((await collect(engine, question)).texts).toEqual(texts);
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
  });

  test("again and again the engine tells that it fails, until it does not", async () => {
    {
      using _ = breakDecoding("Eval has failed", () => true);
      for (let task = 0; task < 3; task++) {
        await expect(collect(engine, question)).rejects.toMatchObject({ code: "engine_failed" });
      }
      expect(await engine.health(never)).toEqual({
        kind: "failing",
        reason: "The last 3 tasks failed in llama.cpp: Eval has failed",
      });
    }
    await collect(engine, question);
    expect(await engine.health(never)).toEqual({ kind: "ready" });
  });

  test("in one slot the others go on", async () => {
    let isBroken = false;
    using _ = breakDecoding("Eval has failed", (sequenceId) => isBroken && sequenceId === 0);
    const expected = (await collect(engine, story)).texts;
    // The one that runs first takes the sequence used longest ago, which is not this one.
    const healthy = collect(engine, question);
    const failing = collect(engine, chat("Tell me a story", { temperature: 0 }), never, (parts) => {
      if (parts === 3) isBroken = true;
    });
    const ends = await Promise.allSettled([healthy, failing]);
    expect(ends.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    isBroken = false;
    expect((await collect(engine, story)).texts).toEqual(expected);
  });

  test("and nothing can take the sequence's place, no slot is lost", async () => {
    const { texts } = await collect(engine, question);
    // The next step fails while the consumer leaves, or is waited for.
    for (const isLeft of [true, false, true, false]) {
      let isBroken = false;
      using _ = breakDecoding("Eval has failed", () => isBroken);
      using __ = breakSequences("No sequences left", () => isBroken);
      const leaving = async () => {
        let parts = 0;
        for await (const event of engine.generate(story, never)) {
          expect(event.kind).toBe("part");
          parts += 1;
          if (parts === 3) isBroken = true;
          if (parts === 4 && isLeft) break;
        }
      };
      if (isLeft) await leaving();
      else await expect(leaving()).rejects.toMatchObject({ code: "engine_failed" });
    }
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
    const both = await Promise.all([collect(engine, question), collect(engine, question)]);
    for (const one of both) expect(one.texts).toEqual(texts);
    expect(await engine.health(never)).toEqual({ kind: "ready" });
  });

  test("for want of memory the task is told to be shorter", async () => {
    const said = "could not find a KV slot for the batch (try reducing the size of the batch)";
    using _ = breakDecoding(said, () => true);
    await expect(collect(engine, question)).rejects.toMatchObject({
      code: "out_of_memory",
      message: "There is not enough memory to evaluate this prompt; send a shorter one",
    });
  });

  test("for a refused request the engine is not blamed", async () => {
    for (let task = 0; task < 3; task++) {
      const refused = { ...question, prefix: { text: "x", tokenIds: null } };
      const response_format = { type: "json_object" } as const;
      const json = chat("Hi", { response_format });
      await expect(collect(engine, { ...json, prefix: refused.prefix })).rejects.toMatchObject({
        code: "invalid_request",
      });
    }
    expect(await engine.health(never)).toEqual({ kind: "ready" });
  });
});

describe("loading", () => {
  test("what does not fit into memory is out_of_memory, with the file's name", async () => {
    const path = bundledModelPath();
    const model = { ...engine.model, contextTokens: 2 ** 25 };
    const options = { path, model, chatTemplate: null, threads: 1, gpu: "none" } as const;
    const opening = openEmbeddedEngine({ ...options, log: () => {} }, never);
    await expect(opening).rejects.toMatchObject({ code: "out_of_memory" });
    await expect(opening).rejects.toThrow(`Cannot load ${path}: there is not enough memory for it`);
  });

  test("a closed engine says that it is", async () => {
    const other = await openTinyEngine({ slots: 1 });
    await other[Symbol.asyncDispose]();
    expect(await other.engine.health(never)).toMatchObject({ kind: "failing" });
  });
});
