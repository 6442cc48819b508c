import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundledModelPath } from "../../../worker-agent/models/model-source.ts";
import { scratchFolder } from "../models/scratch-folder.ts";
import { chat, collect } from "./collect.ts";

import type { TinyEngine } from "./tiny-engine.ts";
import { openTinyEngine } from "./tiny-engine.ts";

let plain: TinyEngine;
let drafted: TinyEngine;

beforeAll(async () => {
  plain = await openTinyEngine();
  drafted = await openTinyEngine({ draft: { kind: "bundled", name: "octo-tiny" } });
});
afterAll(async () => {
  await drafted[Symbol.asyncDispose]();
  await plain[Symbol.asyncDispose]();
});

describe("a draft model", () => {
  test("changes no greedy answer, alone or beside others, with grammar or without", async () => {
    const questions = ["What is this?", "Tell me a long story about an octopus", "Hi", "Count"];
    const response_format = { type: "json_object" } as const;
    const tasks = questions.map((question) => chat(question, { temperature: 0 }));
    tasks.push(chat("Give me a JSON object", { temperature: 0, response_format }));
    for (const task of tasks) {
      const expected = await collect(plain.engine, task);
      for (let round = 0; round < 2; round++) {
        const answer = await collect(drafted.engine, task);
        expect(answer.texts).toEqual(expected.texts);
        expect(answer.end.finishes).toEqual(expected.end.finishes);
        expect(answer.end.usage.completion).toBe(expected.end.usage.completion);
      }
    }
    const together = await Promise.all(tasks.map((task) => collect(drafted.engine, task)));
    for (const { end } of together) expect(end.finishes[0]?.reason).toBe("stop");
  });

  test("changes no answer of a seed, nor one with penalties", async () => {
    for (const fields of [
      { seed: 7, max_tokens: 40 },
      { temperature: 0, presence_penalty: 1 },
    ]) {
      const task = chat("Tell me a story about a fox", fields);
      const expected = await collect(plain.engine, task);
      expect((await collect(drafted.engine, task)).texts).toEqual(expected.texts);
    }
  });

  test("is stopped by an abort, and the slot serves on", async () => {
    const abort = new AbortController();
    const story = chat("Tell me a long story about an octopus", { temperature: 0 });
    const cut = await collect(drafted.engine, story, abort.signal, (parts) => {
      if (parts === 5) abort.abort();
    });
    expect(cut.end.finishes).toEqual([]);
    const expected = await collect(plain.engine, story);
    expect((await collect(drafted.engine, story)).texts).toEqual(expected.texts);
    expect(drafted.engine.stats()).toMatchObject({ running: 0, waiting: 0 });
  });

  test("takes memory that is counted", () => {
    const alone = plain.engine.stats().memoryBytes ?? 0;
    expect(drafted.engine.stats().memoryBytes).toBeGreaterThan(alone * 1.5);
  });

  test("of another vocabulary is refused at opening", async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, "other.gguf");
    const bytes = await readFile(bundledModelPath());
    // One token of the vocabulary is spelled otherwise: `all` becomes `alk`.
    const token = Buffer.from("\u0003\0\0\0\0\0\0\0all", "latin1");
    const at = bytes.indexOf(token);
    expect(at).toBeGreaterThan(0);
    bytes.write("k", at + token.length - 1, "latin1");
    await writeFile(path, bytes);
    const opening = openTinyEngine({ draft: { kind: "file", path } });
    await expect(opening).rejects.toMatchObject({ code: "engine_failed" });
    await expect(opening).rejects.toThrow(/as the draft model: its vocabulary is not the model's/);
  });
});
