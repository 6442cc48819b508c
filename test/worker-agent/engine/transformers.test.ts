import { truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine, ResultTask } from "../../../worker-agent/engine/engine.ts";
import { openEngine, openEngineDefaults } from "../../../worker-agent/engine/open-engine.ts";
import { parseModelSource } from "../../../worker-agent/models/model-source.ts";
import {
  scoreByWord,
  vectorByWord,
  words,
  writeClassifier,
  writeEmbedder,
  writeExternalEmbedder,
  writeFiles,
  writeListener,
  writeSlowEmbedder,
} from "../../helpers/onnx-models.ts";
import { spell, wavOf } from "../../helpers/sounds.ts";
import { scratchFolder } from "../models/scratch-folder.ts";

const never = new AbortController().signal;
let scratch: { path: string } & AsyncDisposable;

beforeAll(async () => {
  scratch = await scratchFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

function open(folder: string, more = {}, options = ""): Promise<Engine> {
  const modelsFolder = join(scratch.path, "models");
  const settings = { ...openEngineDefaults, modelsFolder, threads: 1, log: () => undefined };
  return openEngine(parseModelSource(`onnx:${folder}${options}`), { ...settings, ...more }, never);
}

function place(name: string): string {
  return join(scratch.path, name);
}

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
    await using engine = await open(writeEmbedder(place("embedder")));
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
    const folder = writeEmbedder(place("facts"));
    await using engine = await open(folder);
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
    const folder = writeEmbedder(place("identity"));
    const digestOf = async (): Promise<string> => {
      await using engine = await open(folder);
      return engine.model.digest;
    };
    const first = await digestOf();
    writeFiles(folder, { "README.md": "about it" });
    expect(await digestOf()).toBe(first);
    writeFiles(folder, { "1_Pooling/config.json": { pooling_mode_cls_token: true } });
    expect(await digestOf()).not.toBe(first);
  });

  test("keeps its weights in a file beside it, which are part of it", async () => {
    const folder = writeExternalEmbedder(place("external"));
    await using engine = await open(folder);
    expect(engine.model.parameterCount).toBe(240);
    expect((await embed(engine, { input: "dark" })).vectors).toEqual([[0.5, 0.5, 0.5, 0.5]]);
    const { digest } = engine.model;
    writeFileSync(join(folder, "onnx/model.onnx_data"), Buffer.alloc(960, 1));
    await using other = await open(folder);
    expect(other.model.digest).not.toBe(digest);
    unlinkSync(join(folder, "onnx/model.onnx_data"));
    await expect(open(folder)).rejects.toThrow(
      "onnx/model.onnx needs onnx/model.onnx_data, which is missing",
    );
  });

  test("pools as its files say, or as it is told where they say nothing", async () => {
    const cls = { "1_Pooling/config.json": { pooling_mode_lasttoken: true } };
    // The last token is special, and its row is all zeros: it stays what it is.
    await using last = await open(writeEmbedder(place("last"), cls));
    expect((await embed(last, { input: "red" })).vectors).toEqual([[0, 0, 0, 0]]);
    await using told = await open(writeEmbedder(place("told"), cls), {}, "?pooling=mean");
    expect((await embed(told, { input: "red" })).vectors).toEqual([[1, 0, 0, 0]]);
  });

  test("leaves vectors at the length its steps leave them", async () => {
    const steps = [{ type: "sentence_transformers.models.Pooling" }];
    await using engine = await open(writeEmbedder(place("raw"), { "modules.json": steps }));
    // Three tokens, of which one counts.
    expect((await embed(engine, { input: "blue" })).vectors).toEqual([[0, 0, 1, 0]]);
    const { vectors } = await embed(engine, { input: "green" });
    expect(vectors[0]?.[1]).toBeCloseTo(2 / 3, 6);
  });

  test("cuts vectors to the lengths it was trained for, and to no other", async () => {
    const kind = { "config_sentence_transformers.json": { matryoshka_dimensions: [2, 4] } };
    await using engine = await open(writeEmbedder(place("short"), kind));
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
    await using plain = await open(writeEmbedder(place("whole")));
    await expect(embed(plain, { input: "red", dimensions: 2 })).rejects.toThrow(
      "its vectors have one length",
    );
  });

  test("refuses a text that it cannot read whole, naming it", async () => {
    await using engine = await open(writeEmbedder(place("long")));
    const input = ["red", "red ".repeat(300).trim()];
    await expect(embed(engine, { input })).rejects.toMatchObject({
      code: "context_length_exceeded",
      message: "Cannot read input 1: it has 302 tokens and the model reads 256",
    });
  });

  test("reads the most inputs a request may have, and texts of no known word", async () => {
    await using engine = await open(writeEmbedder(place("many")));
    const { vectors, usage } = await embed(engine, { input: Array(2_048).fill("green") });
    expect(vectors).toHaveLength(2_048);
    expect(new Set(vectors.map(String))).toEqual(new Set(["0,1,0,0"]));
    expect(usage.prompt).toBe(3 * 2_048);
    expect((await embed(engine, { input: " " })).vectors).toEqual([[0, 0, 0, 0]]);
    expect((await embed(engine, { input: "7" })).vectors).toEqual([[0, 0, 0, 1]]);
  });

  test("serves many tasks at once, each its own, and forgets the aborted", async () => {
    await using engine = await open(writeEmbedder(place("crowd")));
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
    await using engine = await open(writeSlowEmbedder(place("slow")));
    const input = Array.from({ length: 4 }, () => "red ".repeat(250).trim());
    let isDone = false;
    const answer = embed(engine, { input }).finally(() => {
      isDone = true;
    });
    let turns = 0;
    while (!isDone) {
      turns += 1;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    expect((await answer).vectors).toHaveLength(4);
    // On the process's own thread the loop would stand still, and turn a handful of times.
    expect(turns).toBeGreaterThan(1_000);
  });

  test("does nothing else", async () => {
    await using engine = await open(writeEmbedder(place("only")));
    const request = { model: "m", query: "red", documents: ["blue"] };
    await expect(engine.perform({ kind: "rerank", request }, never)).rejects.toMatchObject({
      code: "invalid_request",
      message: "Cannot serve a task of the kind rerank: this model does not do that",
    });
  });

  test("that was unloaded answers nobody", async () => {
    const engine = await open(writeEmbedder(place("gone")));
    await engine[Symbol.asyncDispose]();
    await expect(embed(engine, { input: "red" })).rejects.toMatchObject({ code: "engine_failed" });
    expect(await engine.health(never)).toMatchObject({ kind: "failing" });
  });
});

describe("a model of labels", () => {
  test("with one of them ranks documents by their pair with the query", async () => {
    await using engine = await open(writeClassifier(place("ranker"), ["relevant"]));
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
    await using engine = await open(writeClassifier(place("labels"), ["cold", "warm"]));
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
    await using engine = await open(writeClassifier(place("multi"), ["a", "b"], more));
    const request = { model: "m", input: "red" };
    const { result } = await engine.perform({ kind: "classification", request }, never);
    const { labels } = result as { labels: { label: string; score: number }[][] };
    expect(labels[0]?.map(({ label }) => label)).toEqual(["b", "a"]);
    expect(labels[0]?.[0]?.score).toBeCloseTo(1 / (1 + Math.exp(-2)), 6);
    expect(labels[0]?.[1]?.score).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
  });

  test("is used for what it is told to be", async () => {
    const folder = writeClassifier(place("told-ranker"), ["no", "yes"]);
    await using engine = await open(folder, {}, "#rerank");
    const request = { model: "m", query: "red", documents: ["red"] };
    const { result } = await engine.perform({ kind: "rerank", request }, never);
    const { scores } = result as { scores: number[] };
    expect(scores[0]).toBeCloseTo(1 / (1 + Math.exp(-2)), 6);
  });
});

describe("a speech model", () => {
  function transcribe(engine: Engine, file: Buffer, more = {}) {
    const request = { model: "m", audio: file.toString("base64"), file_name: "a.wav", ...more };
    return engine.perform({ kind: "transcription", request }, never);
  }

  test.each([
    [16_000, {}],
    [44_100, { bits: 24 }],
    [8_000, { bits: 32, isFloat: true }],
  ] as const)("writes down what sounds at %i samples a second", async (rate, form) => {
    await using engine = await open(writeListener(place(`listener-${rate}`)));
    expect(engine.model.abilities).toEqual(["transcription"]);
    const sound = spell("octo the cell", rate);
    const { result, usage } = await transcribe(engine, wavOf([sound, sound], { rate, ...form }));
    expect(result).toEqual({
      text: "octo the cell",
      language: null,
      duration_s: 2.6,
      segments: null,
      words: null,
    });
    // Three seconds begun, and a token a letter.
    expect(usage).toEqual({ prompt: 150, completion: 13, cached: 0 });
  });

  test("hears a long sound in windows without a seam", async () => {
    await using engine = await open(writeListener(place("long-listener")));
    const text = "the cello coo hello tecto ".repeat(16).trim();
    const { result } = await transcribe(
      engine,
      wavOf([spell(text, 8_000)], { rate: 8_000, bits: 8 }),
    );
    expect(result).toMatchObject({ text, duration_s: 83 });
  });

  test("writes nothing for silence", async () => {
    await using engine = await open(writeListener(place("silence")));
    const silence = wavOf([Array.from({ length: 16_000 }, () => 0)], { rate: 16_000 });
    const { result, usage } = await transcribe(engine, silence);
    expect(result).toMatchObject({ text: "" });
    expect(usage).toEqual({ prompt: 50, completion: 0, cached: 0 });
  });

  test("refuses what it cannot hear, and hears the next", async () => {
    await using engine = await open(writeListener(place("refusing")));
    const good = wavOf([spell("octo", 16_000)], { rate: 16_000 });
    const empty = wavOf([[]], { rate: 16_000 });
    for (const [file, reason] of [
      [Buffer.from("ID3 and so on, long enough"), "it is MP3; this worker reads WAV"],
      [good.subarray(0, 1_000), "it is cut off: 956 of 25600 bytes of sound are there"],
      [empty, "it has no sound"],
    ] as const) {
      await expect(transcribe(engine, file)).rejects.toMatchObject({
        code: "invalid_request",
        message: expect.stringContaining(reason) as string,
      });
    }
    await expect(transcribe(engine, good, { prompt: "names" })).rejects.toThrow(
      "Cannot follow a prompt: this model hears without one; leave it out",
    );
    expect((await transcribe(engine, good)).result).toMatchObject({ text: "octo" });
  });
});

describe("a folder that is no whole model", () => {
  test("of no tokenizer is refused with what is missing", async () => {
    const folder = writeEmbedder(place("no-tokenizer"));
    unlinkSync(join(folder, "tokenizer.json"));
    await expect(open(folder)).rejects.toMatchObject({
      code: "bad_file",
      message: `Cannot use the model in ${folder}: it has no tokenizer.json`,
    });
  });

  test("that is not there is refused", async () => {
    const folder = place("nowhere");
    const message = `Cannot use the model in ${folder}: there is no such folder`;
    await expect(open(folder)).rejects.toMatchObject({ code: "bad_file", message });
  });

  test("with a graph that is cut off is refused with the byte", async () => {
    const folder = writeEmbedder(place("cut"));
    truncateSync(join(folder, "onnx/model.onnx"), 100);
    await expect(open(folder)).rejects.toThrow(/model\.onnx: it is cut off: byte \d+ is missing/);
  });

  test("with a graph that is no graph is refused", async () => {
    const folder = writeEmbedder(place("junk"), { "onnx/model.onnx": "version https://git-lfs" });
    await expect(open(folder)).rejects.toThrow(/Cannot use the model file .*model\.onnx: it is/);
  });

  test("with a graph that cannot run is refused with what the runtime says", async () => {
    const folder = writeEmbedder(place("other-words"), {
      "onnx/model.onnx": Buffer.from([0x08, 0x08, 0x3a, 0x00]),
    });
    await expect(open(folder)).rejects.toMatchObject({
      code: "bad_file",
      message: expect.stringContaining(`Cannot load the model in ${folder}: `) as string,
    });
  });

  test("without the wished form is refused", async () => {
    const folder = writeEmbedder(place("no-form"));
    await expect(open(folder, {}, "?dtype=q8")).rejects.toThrow(
      "it has no onnx/model_quantized.onnx",
    );
  });

  test("whose settings are no JSON, or of the wrong form, is refused", async () => {
    const folder = writeEmbedder(place("json"), { "modules.json": "{" });
    await expect(open(folder)).rejects.toThrow("modules.json is no JSON");
    writeFiles(folder, { "modules.json": [], "config.json": { architectures: "BertModel" } });
    await expect(open(folder)).rejects.toThrow("config.json is wrong at architectures");
  });

  test("that tells no task asks for one", async () => {
    const folder = writeClassifier(place("taskless"), ["a"], { architectures: ["BertForX"] });
    await expect(open(folder)).rejects.toThrow("does not tell the task; add #embeddings");
  });

  test("that does not fit the memory is refused with the arithmetic", async () => {
    const folder = writeEmbedder(place("large"));
    await expect(open(folder, { freeMemoryBytes: 100 })).rejects.toMatchObject({
      code: "does_not_fit",
      message: expect.stringContaining("its weights take 0 MiB and 0 are free") as string,
    });
  });
});
