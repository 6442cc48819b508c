import { unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine, ResultTask } from "../../../worker-agent/engine/engine.ts";
import {
  scoreByWord,
  vectorByWord,
  words,
  writeClassifier,
  writeEmbedder,
  writeExternalEmbedder,
  writeFiles,
  writeHalfEmbedder,
  writeSlowEmbedder,
} from "../../helpers/onnx-models.ts";
import { never, type OnnxPlace, onnxPlace } from "./onnx-engine.ts";

let here: OnnxPlace;
beforeAll(async () => {
  here = await onnxPlace();
});
afterAll(() => here[Symbol.asyncDispose]());

type RequestOf<Kind> = Omit<Extract<ResultTask, { kind: Kind }>["request"], "model">;

async function embed(engine: Engine, request: RequestOf<"embedding">) {
  const task = { kind: "embedding", request: { model: "m", ...request } } as ResultTask;
  const { result, usage } = await engine.perform(task, never);
  const { vectors } = result as { vectors: string[] };
  return { usage, vectors: vectors.map((text) => floats(text)) };
}

function floats(base64: string): number[] {
  const bytes = Buffer.from(base64, "base64");
  return Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(4 * at));
}

/** What the embedder gives for a text, computed without it: special tokens have rows of zeros. */
function vectorOf(text: string): number[] {
  const sum = [0, 0, 0, 0];
  for (const word of text.split(" ")) {
    const row = vectorByWord[words.findIndex((one) => one === word)] ?? [];
    for (const [at, value] of row.entries()) sum[at] = (sum[at] ?? 0) + value;
  }
  return sum.map((value) => Math.fround(value / Math.hypot(...sum)));
}

function scoreOf(text: string): number {
  const ids = text.split(" ").map((word) => words.findIndex((one) => one === word));
  return ids.reduce((sum, id) => sum + (scoreByWord[id] ?? 0), 0);
}

describe("an embedding model", () => {
  test("gives each text the mean of its tokens at length one, whatever shares its batch", async () => {
    await using engine = await here.open(writeEmbedder(here.at("embedder")));
    const input = ["red", "red green blue dark red green", "blue dark"];
    const { vectors, usage } = await embed(engine, { input });
    for (const [at, text] of input.entries()) {
      for (const [index, value] of vectorOf(text).entries()) {
        expect(vectors[at]?.[index]).toBeCloseTo(value, 6);
      }
    }
    // Each text has two special tokens; padding counts for nothing.
    expect(usage).toEqual({ prompt: 3 + 8 + 4, completion: 0, cached: 0 });
    expect(await embed(engine, { input: "red" })).toEqual({
      vectors: [[1, 0, 0, 0]],
      usage: { prompt: 3, completion: 0, cached: 0 },
    });
  });

  test("is what its files say it is", async () => {
    const folder = writeEmbedder(here.at("facts"));
    await using engine = await here.open(folder);
    expect(engine.kind).toBe("transformers");
    expect(engine.model).toMatchObject({
      identity: "content",
      contextTokens: 256,
      quantization: "fp32",
      parameterCount: 240,
      weightBytes: 960,
      architecture: "bert",
      abilities: ["embeddings"],
      slots: 4,
    });
    expect(await engine.tokenize("red dark", never)).toEqual([4, 7]);
    expect(await engine.health(never)).toEqual({ kind: "ready" });
  });

  test("has its identity from every file it uses, and from no other", async () => {
    const folder = writeEmbedder(here.at("identity"));
    const digestOf = async (): Promise<string> => {
      await using engine = await here.open(folder);
      return engine.model.digest;
    };
    const first = await digestOf();
    writeFiles(folder, { "README.md": "about it" });
    expect(await digestOf()).toBe(first);
    writeFiles(folder, { "1_Pooling/config.json": { pooling_mode_cls_token: true } });
    expect(await digestOf()).not.toBe(first);
  });

  test("keeps its weights in a file beside it, which are part of it", async () => {
    const folder = writeExternalEmbedder(here.at("external"));
    await using engine = await here.open(folder);
    expect(engine.model.parameterCount).toBe(240);
    expect((await embed(engine, { input: "dark" })).vectors).toEqual([[0.5, 0.5, 0.5, 0.5]]);
    const { digest } = engine.model;
    writeFileSync(join(folder, "onnx/model.onnx_data"), Buffer.alloc(960, 1));
    await using other = await here.open(folder);
    expect(other.model.digest).not.toBe(digest);
    unlinkSync(join(folder, "onnx/model.onnx_data"));
    await expect(here.open(folder)).rejects.toThrow(
      "onnx/model.onnx needs onnx/model.onnx_data, which is missing",
    );
  });

  test("of half precision gives the same vectors", async () => {
    await using engine = await here.open(writeHalfEmbedder(here.at("half")));
    const { vectors } = await embed(engine, { input: "blue dark" });
    for (const [at, value] of vectorOf("blue dark").entries()) {
      expect(vectors[0]?.[at]).toBeCloseTo(value, 6);
    }
  });

  test("pools as its files say, or as it is told where they say nothing", async () => {
    const cls = { "1_Pooling/config.json": { pooling_mode_lasttoken: true } };
    // The last token is special, and its row is all zeros: it stays what it is.
    await using last = await here.open(writeEmbedder(here.at("last"), cls));
    expect((await embed(last, { input: "red" })).vectors).toEqual([[0, 0, 0, 0]]);
    await using told = await here.open(writeEmbedder(here.at("told"), cls), {}, "?pooling=mean");
    expect((await embed(told, { input: "red" })).vectors).toEqual([[1, 0, 0, 0]]);
  });

  test("leaves vectors at the length its steps leave them", async () => {
    const steps = [{ type: "sentence_transformers.models.Pooling" }];
    await using engine = await here.open(writeEmbedder(here.at("raw"), { "modules.json": steps }));
    // Three tokens, of which one counts.
    expect((await embed(engine, { input: "blue" })).vectors).toEqual([[0, 0, 1, 0]]);
    const { vectors } = await embed(engine, { input: "green" });
    expect(vectors[0]?.[1]).toBeCloseTo(2 / 3, 6);
  });

  test("cuts vectors to the lengths it was trained for, and to no other", async () => {
    const kind = { "config_sentence_transformers.json": { matryoshka_dimensions: [2, 4] } };
    await using engine = await here.open(writeEmbedder(here.at("short"), kind));
    expect(engine.model.abilities).toEqual(["embeddings", "embedding_dimensions"]);
    const { vectors } = await embed(engine, { input: "red dark", dimensions: 2 });
    const whole = vectorOf("red dark").slice(0, 2);
    for (const [at, value] of whole.entries()) {
      expect(vectors[0]?.[at]).toBeCloseTo(value / Math.hypot(...whole), 6);
    }
    await expect(embed(engine, { input: "red", dimensions: 3 })).rejects.toMatchObject({
      code: "invalid_request",
      message: "Cannot make vectors of 3 numbers with this model: its lengths are 2, 4",
    });
    await using plain = await here.open(writeEmbedder(here.at("whole")));
    await expect(embed(plain, { input: "red", dimensions: 2 })).rejects.toThrow(
      "its vectors have one length",
    );
  });

  test("refuses a text that it cannot read whole, naming it", async () => {
    await using engine = await here.open(writeEmbedder(here.at("long")));
    const input = ["red", "red ".repeat(300).trim()];
    await expect(embed(engine, { input })).rejects.toMatchObject({
      code: "context_length_exceeded",
      message: "Cannot read input 1: it has 302 tokens and the model reads 256",
    });
  });

  test("reads the most inputs a request may have, and texts of no known word", async () => {
    await using engine = await here.open(writeEmbedder(here.at("many")));
    const { vectors, usage } = await embed(engine, { input: Array(2_048).fill("green") });
    expect(vectors).toHaveLength(2_048);
    expect(new Set(vectors.map(String))).toEqual(new Set(["0,1,0,0"]));
    expect(usage.prompt).toBe(3 * 2_048);
    expect((await embed(engine, { input: " " })).vectors).toEqual([[0, 0, 0, 0]]);
    expect((await embed(engine, { input: "7" })).vectors).toEqual([[0, 0, 0, 1]]);
  });

  test("serves many tasks at once, each its own, and forgets the aborted", async () => {
    await using engine = await here.open(writeEmbedder(here.at("crowd")));
    const abort = new AbortController();
    const request = { model: "m", input: "red" };
    const gone = engine.perform({ kind: "embedding", request }, abort.signal);
    const tasks = Array.from({ length: 100 }, (_, at) => words[4 + (at % 4)] ?? "");
    const answers = tasks.map((input) => embed(engine, { input }));
    expect(engine.stats().running).toBe(101);
    abort.abort(new Error("gone"));
    await expect(gone).rejects.toThrow("gone");
    for (const [at, { vectors }] of (await Promise.all(answers)).entries()) {
      expect(vectors).toEqual([vectorOf(tasks[at] ?? "")]);
    }
    expect(engine.stats().running).toBe(0);
  });

  test("computes while the process goes on", async () => {
    await using engine = await here.open(writeSlowEmbedder(here.at("slow")));
    const input = Array.from({ length: 4 }, () => "red ".repeat(250).trim());
    const progress = { isDone: false, turns: 0 };
    const answer = embed(engine, { input }).finally(() => {
      progress.isDone = true;
    });
    while (!progress.isDone) {
      progress.turns += 1;
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
    }
    expect((await answer).vectors).toHaveLength(4);
    // On the process's own thread the loop would stand still, and turn a handful of times.
    expect(progress.turns).toBeGreaterThan(1_000);
  });

  test("does nothing else", async () => {
    await using engine = await here.open(writeEmbedder(here.at("only")));
    const request = { model: "m", query: "red", documents: ["blue"] };
    await expect(engine.perform({ kind: "rerank", request }, never)).rejects.toMatchObject({
      code: "invalid_request",
      message: "Cannot serve a task of the kind rerank: this model does not do that",
    });
  });

  test("that was unloaded answers nobody", async () => {
    const engine = await here.open(writeEmbedder(here.at("gone")));
    await engine[Symbol.asyncDispose]();
    await expect(embed(engine, { input: "red" })).rejects.toMatchObject({ code: "engine_failed" });
    expect(await engine.health(never)).toMatchObject({ kind: "failing" });
  });
});

describe("a model of labels", () => {
  test("with one of them ranks documents by their pair with the query", async () => {
    await using engine = await here.open(writeClassifier(here.at("ranker"), ["relevant"]));
    expect(engine.model.abilities).toEqual(["rerank"]);
    const request = { model: "m", query: "red", documents: ["green", "dark dark", "blue"] };
    const { result, usage } = await engine.perform({ kind: "rerank", request }, never);
    const { scores } = result as { scores: number[] };
    for (const [at, document] of request.documents.entries()) {
      const logit = scoreOf(`red ${document}`);
      expect(scores[at]).toBeCloseTo(1 / (1 + Math.exp(-logit)), 6);
    }
    expect(usage.prompt).toBe(5 + 6 + 5);
  });

  test("with more of them gives the likeliest first", async () => {
    await using engine = await here.open(writeClassifier(here.at("labels"), ["cold", "warm"]));
    const request = { model: "m", input: ["dark", "green"] };
    const { result } = await engine.perform({ kind: "classification", request }, never);
    const { labels } = result as { labels: { label: string; score: number }[][] };
    // The second label's logit is twice the first's.
    const warm = 1 / (1 + Math.exp(-scoreOf("dark")));
    expect(labels[0]?.map(({ label }) => label)).toEqual(["warm", "cold"]);
    expect(labels[0]?.[0]?.score).toBeCloseTo(warm, 6);
    expect(labels[0]?.[1]?.score).toBeCloseTo(1 - warm, 6);
    expect(labels[1]?.map(({ label }) => label)).toEqual(["cold", "warm"]);
  });

  test("that may hold together judges each alone", async () => {
    const more = { problem_type: "multi_label_classification" };
    await using engine = await here.open(writeClassifier(here.at("multi"), ["a", "b"], more));
    const request = { model: "m", input: "red" };
    const { result } = await engine.perform({ kind: "classification", request }, never);
    const { labels } = result as { labels: { label: string; score: number }[][] };
    expect(labels[0]?.map(({ label }) => label)).toEqual(["b", "a"]);
    expect(labels[0]?.[0]?.score).toBeCloseTo(1 / (1 + Math.exp(-2)), 6);
    expect(labels[0]?.[1]?.score).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
  });

  test("is used for what it is told to be", async () => {
    const folder = writeClassifier(here.at("told-ranker"), ["no", "yes"]);
    await using engine = await here.open(folder, {}, "#rerank");
    const request = { model: "m", query: "red", documents: ["red"] };
    const { result } = await engine.perform({ kind: "rerank", request }, never);
    const { scores } = result as { scores: number[] };
    expect(scores[0]).toBeCloseTo(1 / (1 + Math.exp(-2)), 6);
  });
});
