import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { Engine, ResultAnswer, ResultTask } from "../../../worker-agent/engine/engine.ts";
import { scratchFolder } from "../models/scratch-folder.ts";
import { breakDecoding } from "./break-llama.ts";
import { chat, collect } from "./collect.ts";
import { writeEmbeddingModel, writeRerankModel } from "./pooled-model.ts";
import { openTinyEngine } from "./tiny-engine.ts";
import type { TinyEngine } from "./tiny-engine.ts";

const never = new AbortController().signal;

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let vectors: TinyEngine;
let ranks: TinyEngine;

beforeAll(async () => {
  folder = await scratchFolder();
  vectors = await openTinyEngine({}, await writeEmbeddingModel(folder.path));
  ranks = await openTinyEngine({}, await writeRerankModel(folder.path));
});
afterAll(async () => {
  await vectors[Symbol.asyncDispose]();
  await ranks[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function embed(engine: Engine, input: string | string[], more = {}): Promise<ResultAnswer> {
  return engine.perform({ kind: "embedding", request: { model: "x", input, ...more } }, never);
}

function vectorsOf({ result }: ResultAnswer): number[][] {
  if (!("vectors" in result)) throw new Error("the result has no vectors");
  return result.vectors.map((text) => {
    const bytes = Buffer.from(text, "base64");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.length / 4 }, (_, at) => view.getFloat32(at * 4, true));
  });
}

function product(a: readonly number[] = [], b: readonly number[] = []): number {
  return a.reduce((sum, value, at) => sum + value * (b[at] ?? Number.NaN), 0);
}

describe("a model whose file says that it makes vectors", () => {
  test("makes one of length one for each input, whatever else is in the batch", async () => {
    const inputs = ["a fox", "The octopus lives in the sea", "a fox"];
    const answer = await embed(vectors.engine, inputs);
    const [first, second, third] = vectorsOf(answer);
    expect(first).toHaveLength(160);
    expect(product(first, first)).toBeCloseTo(1, 5);
    expect(product(first, third)).toBeCloseTo(1, 5);
    expect(product(first, second)).toBeLessThan(0.999);
    const [alone] = vectorsOf(await embed(vectors.engine, inputs[1] ?? ""));
    expect(product(alone, second)).toBeCloseTo(1, 5);
  });

  test("counts the tokens it really read", async () => {
    const one = (await embed(vectors.engine, "a fox")).usage;
    const tokens = await vectors.engine.tokenize("a fox", never);
    expect(one.prompt).toBeGreaterThanOrEqual(tokens.length);
    const many = (await embed(vectors.engine, ["a fox", "a fox", "a fox"])).usage;
    expect(many).toEqual({ prompt: 3 * one.prompt, completion: 0, cached: 0 });
  });

  test("lists that and nothing else, and refuses the rest", async () => {
    const { engine } = vectors;
    expect(engine.model.abilities).toEqual(["embeddings"]);
    expect(engine.model.slots).toBe(1);
    await expect(embed(engine, "a", { dimensions: 8 })).rejects.toMatchObject({
      code: "invalid_request",
      message: "Cannot give vectors of fewer dimensions: this model does not do that",
    });
    await expect(collect(engine, chat("Hi"))).rejects.toMatchObject({
      message: "Cannot generate text: this model does not do that",
    });
    const request = { model: "x", query: "a", documents: ["b"] };
    await expect(engine.perform({ kind: "rerank", request }, never)).rejects.toMatchObject({
      message: "Cannot serve a task of the kind rerank: this model does not do that",
    });
    expect(engine.stats().memoryBytes).toBeGreaterThan(1_752_800);
  });

  test("refuses an input that does not fit, by its place, and serves on", async () => {
    const refused = embed(vectors.engine, ["a", "word ".repeat(600)]);
    await expect(refused).rejects.toMatchObject({ code: "context_length_exceeded" });
    await expect(refused).rejects.toThrow(/Cannot read input 1: it has \d+ tokens/);
    expect(vectorsOf(await embed(vectors.engine, "a"))).toHaveLength(1);
  });

  test("is well while tasks are served between those that fail, and failing after several", async () => {
    const { engine } = vectors;
    const fail = async () => {
      using _ = breakDecoding("Eval has failed", () => true);
      await expect(embed(engine, "a fox")).rejects.toMatchObject({ code: "engine_failed" });
    };
    for (let round = 0; round < 3; round++) {
      await fail();
      await embed(engine, "a fox");
      expect(await engine.health(never)).toEqual({ kind: "ready" });
    }
    await fail();
    await fail();
    expect(await engine.health(never)).toMatchObject({ kind: "failing" });
    await embed(engine, "a fox");
    expect(await engine.health(never)).toEqual({ kind: "ready" });
  });

  test("stops between inputs when it is aborted", async () => {
    const abort = new AbortController();
    const input = Array.from({ length: 500 }, (_, at) => `document ${at}`);
    const task: ResultTask = { kind: "embedding", request: { model: "x", input } };
    const running = vectors.engine.perform(task, abort.signal);
    expect(vectors.engine.stats().running).toBe(1);
    abort.abort(new Error("gone"));
    await expect(running).rejects.toThrow("gone");
    expect(vectors.engine.stats().running).toBe(0);
  });
});

describe("a model whose file says that it ranks", () => {
  test("scores every document from 0 to 1, the same ones alike", async () => {
    const documents = ["a fox", "the sea and the octopus", "a fox", "GPUs"];
    const request = { model: "x", query: "Who is in the sea?", documents };
    const answer = await ranks.engine.perform({ kind: "rerank", request }, never);
    if (!("scores" in answer.result)) throw new Error("the result has no scores");
    const { scores } = answer.result;
    expect(scores).toHaveLength(4);
    for (const score of scores) expect(score >= 0 && score <= 1).toBe(true);
    expect(scores[0]).toBeCloseTo(scores[2] ?? Number.NaN, 6);
    expect(new Set(scores.map((score) => score.toFixed(6))).size).toBeGreaterThan(1);
    const one = { ...request, documents: ["a fox"] };
    const alone = await ranks.engine.perform({ kind: "rerank", request: one }, never);
    expect(alone.usage.prompt).toBeGreaterThan(0);
    expect(answer.usage.prompt).toBeGreaterThan(3 * alone.usage.prompt);
  });

  test("lists that and makes no vectors", async () => {
    expect(ranks.engine.model.abilities).toEqual(["rerank"]);
    await expect(embed(ranks.engine, "a")).rejects.toMatchObject({ code: "invalid_request" });
  });
});
