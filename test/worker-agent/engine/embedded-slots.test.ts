import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Engine } from "../../../worker-agent/engine/engine.ts";
import { chat, collect, completion } from "./collect.ts";
import type { TinyEngine } from "./tiny-engine.ts";
import { openTinyEngine } from "./tiny-engine.ts";

let tiny: TinyEngine;
let engine: Engine;

beforeEach(async () => {
  tiny = await openTinyEngine({ slots: 2 });
  engine = tiny.engine;
});
afterEach(() => tiny[Symbol.asyncDispose]());

const longStory = "Tell me a long story about an octopus";

/** Fills every slot at once: only possible when none was leaked. */
async function fillSlots(): Promise<void> {
  const tasks = [1, 2].map((seed) => chat("What is this?", { seed, max_tokens: 5 }));
  const all = await Promise.all(tasks.map((task) => collect(engine, task)));
  for (const { end } of all) expect(end.usage.completion).toBe(5);
}

describe("the slots of the embedded engine", () => {
  test("serve twice as many streams as there are, each whole", async () => {
    const tasks = Array.from({ length: 4 }, () => chat(longStory, { temperature: 0 }));
    const all = await Promise.all(tasks.map((task) => collect(engine, task)));
    for (const { end, texts } of all) {
      expect(end.finishes).toEqual([{ index: 0, reason: "stop" }]);
      expect(texts[0]).toMatch(/^Once there was an octopus/);
    }
  });

  test("are free within one token of an abort, and the end counts what was made", async () => {
    const abort = new AbortController();
    const task = chat(longStory, { temperature: 0 });
    const { end, tokens } = await collect(engine, task, abort.signal, (parts) => {
      if (parts === 5) abort.abort();
    });
    expect(end.finishes).toEqual([]);
    expect(end.usage.completion).toBe(tokens[0]);
    expect(end.usage.completion).toBeLessThanOrEqual(6);
    await fillSlots();
  });

  test("are not taken by a task aborted while it waits, which costs nothing", async () => {
    const abort = new AbortController();
    const running = [1, 2].map((seed) => collect(engine, chat(longStory, { seed })));
    const waiting = collect(engine, chat(longStory), abort.signal);
    abort.abort();
    expect((await waiting).end.usage).toEqual({ prompt: 0, completion: 0, cached: 0 });
    await Promise.all(running);
    await fillSlots();
  });

  test("are freed by a consumer that stops reading, also of several choices", async () => {
    for (const n of [1, 2, 5]) {
      for await (const event of engine.generate(
        chat(longStory, { n }),
        AbortSignal.timeout(60_000),
      )) {
        if (event.kind === "part") break;
      }
    }
    await fillSlots();
  });

  test("an answer is the same in every slot and after any other answer", async () => {
    const task = chat("What is this?", { temperature: 0 });
    const first = await collect(engine, task);
    await Promise.all([1, 2, 3].map((seed) => collect(engine, chat(longStory, { seed }))));
    expect((await collect(engine, task)).texts).toEqual(first.texts);
  });

  test("serve a context shorter than the model's, when asked to", async () => {
    await using small = await openTinyEngine({ contextTokensMax: 64, slots: 1 });
    expect(small.engine.model.contextTokens).toBe(64);
    const { end } = await collect(small.engine, chat(longStory, { temperature: 0 }));
    expect(end.usage.prompt + end.usage.completion).toBe(64);
    expect(end.finishes).toEqual([{ index: 0, reason: "length" }]);
    const task = completion("word ".repeat(22));
    await expect(collect(small.engine, task)).rejects.toThrow("context holds 64 tokens");
  });

  test("a closed engine fails what still runs, and says so", async () => {
    const other = await openTinyEngine({ slots: 1 });
    const running = collect(other.engine, chat(longStory));
    await Promise.all([
      expect(running).rejects.toMatchObject({ code: "engine_failed" }),
      other[Symbol.asyncDispose](),
    ]);
  });
});

describe("opening the embedded engine", () => {
  test("is refused with the sum where memory is short", async () => {
    const opening = openTinyEngine({ freeMemoryBytes: 75 * 2 ** 20, slots: 64 });
    await expect(opening).rejects.toMatchObject({ code: "does_not_fit" });
    await expect(opening).rejects.toThrow(
      /64 slots of 512 tokens .* 75 MiB are free; use \d+ slots?/,
    );
  });
});
