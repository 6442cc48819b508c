import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatRequest } from "../../../shared/openai/chat-request.ts";
import type { Engine } from "../../../worker-agent/engine/engine.ts";
import { chat, collect, completion } from "./collect.ts";
import type { TinyEngine } from "./tiny-engine.ts";
import { openTinyEngine } from "./tiny-engine.ts";

let tiny: TinyEngine;
let engine: Engine;

beforeAll(async () => {
  tiny = await openTinyEngine();
  engine = tiny.engine;
});
afterAll(() => tiny[Symbol.asyncDispose]());

const greedy = { temperature: 0 } as const;
/** The model's tokens that end an answer, all banned. */
const endless = { logit_bias: { "1021": -100, "1022": -100, "1023": -100 } };
const question = "What is this?";
const longStory = "Tell me a long story about an octopus";

async function answer(prompt: string, fields: Partial<ChatRequest>): Promise<string> {
  return (await collect(engine, chat(prompt, fields))).texts[0] ?? "";
}

describe("the embedded engine describes its model", () => {
  test("by what the file says", () => {
    expect(engine.model).toMatchObject({
      digest: "73cc8e441a53b560e1e1bd13e4004787126e9b460ea46aa37e7e2cb36ef65754",
      contextTokens: 512,
      quantization: "Q8_0",
      parameterCount: 1_752_800,
      architecture: "llama",
      slots: 4,
    });
    const able = ["chat", "json_schema", "tools", "forced_prefix"];
    expect(engine.model.abilities).toEqual(expect.arrayContaining(able));
    for (const other of ["embeddings", "rerank", "vision"]) {
      expect(engine.model.abilities).not.toContain(other);
    }
  });

  test("and logs what computes, and nothing else below a warning", () => {
    const { logged } = tiny;
    const quiet = logged.filter(({ level }) => level !== "warn" && level !== "error");
    expect(quiet).toEqual([{ level: "info", message: "Computing" }]);
    expect(engine).toHaveProperty("backend", "cpu");
  });

  test("and tells its tokens, its memory and that it is ready", async () => {
    const signal = new AbortController().signal;
    expect(await engine.tokenize("<|im_end|>", signal)).not.toHaveLength(1);
    expect(await engine.tokenize("", signal)).toEqual([]);
    const { memoryBytes, running, waiting } = engine.stats();
    // At least the weights and a 16-bit cache: 5 layers × 160 keys and values of 512 tokens.
    expect(memoryBytes).toBeGreaterThan(1_752_800 + 4 * 512 * 5 * 160 * 2 * 2);
    expect(memoryBytes).toBeLessThan(100 * 2 ** 20);
    expect([running, waiting]).toEqual([0, 0]);
    expect(await engine.health(signal)).toEqual({ kind: "ready" });
  });
});

describe("the embedded engine answers", () => {
  test("greedily the same every time, ending where the model ends", async () => {
    const first = await collect(engine, chat(question, greedy));
    expect(first.texts[0]).toContain("one HTTPS endpoint in front of everybody's GPUs");
    expect(first.end.finishes).toEqual([{ index: 0, reason: "stop" }]);
    expect(first.end.usage).toEqual({ prompt: 15, completion: 52, cached: 0 });
    expect(first.tokens).toEqual([52]);
    const again = await collect(engine, chat(question, greedy));
    expect(again.texts).toEqual(first.texts);
  });

  test("the same to the same seed and otherwise to another", async () => {
    const fields = { max_tokens: 24, seed: 5 };
    const first = await answer("Tell me a story about a fox", fields);
    expect(await answer("Tell me a story about a fox", fields)).toBe(first);
    expect(await answer("Tell me a story about a fox", { ...fields, seed: 6 })).not.toBe(first);
  });

  test("messages of every role, their content in parts or whole", async () => {
    const whole = chat(question, greedy);
    const parts = chat("", greedy);
    if (parts.kind === "chat") {
      parts.request.messages = [{ role: "user", content: [{ type: "text", text: question }] }];
    }
    expect((await collect(engine, parts)).texts).toEqual((await collect(engine, whole)).texts);
    const roles = chat("", { ...greedy, max_tokens: 4 });
    if (roles.kind === "chat") {
      roles.request.messages = [
        { role: "developer", content: "Be short." },
        { role: "user", content: "Hi" },
        { role: "assistant", content: "Hello." },
        { role: "user", content: question },
      ];
    }
    expect((await collect(engine, roles)).end.usage.completion).toBeGreaterThan(0);
  });

  test("on from the assistant's last message, where that is the last", async () => {
    const task = chat("", greedy);
    if (task.kind === "chat") {
      task.request.messages = [
        { role: "user", content: question },
        { role: "assistant", content: "CipherOcto puts one HTTPS endpoint" },
      ];
    }
    expect((await collect(engine, task)).texts[0]).toMatch(/^ in front of everybody's GPUs/);
  });

  test("no message that pretends to be the template", async () => {
    const plain = await collect(engine, chat("<|im_end|>", { ...greedy, max_tokens: 1 }));
    // As one special token it would take 1 where its letters take several.
    expect(plain.end.usage.prompt).toBeGreaterThan(12);
  });

  test("a plain prompt by going on with it", async () => {
    const task = completion("Once there was a fox named", { ...greedy, max_tokens: 3 });
    const { texts, end } = await collect(engine, task);
    expect(texts[0]).toMatch(/^ [A-Z]/);
    expect(end.usage.completion).toBe(3);
  });

  test("by length at max_completion_tokens, and at the end of the context", async () => {
    const short = await collect(engine, chat(longStory, { ...greedy, max_completion_tokens: 9 }));
    expect(short.end.finishes).toEqual([{ index: 0, reason: "length" }]);
    expect(short.end.usage.completion).toBe(9);
    const nearlyFull = completion("word ".repeat(165), endless);
    const full = await collect(engine, nearlyFull);
    expect(full.end.finishes).toEqual([{ index: 0, reason: "length" }]);
    expect(full.end.usage.prompt + full.end.usage.completion).toBe(512);
  });

  test("a prompt that leaves no room with the numbers", async () => {
    const task = chat("word ".repeat(600));
    await expect(collect(engine, task)).rejects.toMatchObject({
      code: "context_length_exceeded",
      message:
        "Cannot answer a prompt of 1812 tokens: the context holds 512 tokens, " +
        "and the answer needs at least one of them",
    });
  });
});

describe("the embedded engine honours", () => {
  test("a stop sequence that spans tokens, of which no part leaves", async () => {
    const whole = await answer(question, greedy);
    const { texts, end } = await collect(
      engine,
      chat(question, { ...greedy, stop: ["of everyb"] }),
    );
    expect(texts[0]).toBe(whole.slice(0, whole.indexOf("of everyb")));
    expect(end.finishes).toEqual([{ index: 0, reason: "stop" }]);
    expect(end.usage.completion).toBeLessThan(52);
  });

  test("logprobs, in OpenAI's shape and summing to one", async () => {
    const fields = { ...greedy, max_tokens: 5, logprobs: true, top_logprobs: 20 };
    const { texts, logprobs } = await collect(engine, chat(question, fields));
    expect(logprobs).toHaveLength(5);
    expect(logprobs.map((entry) => entry.token).join("")).toBe(texts[0]);
    for (const entry of logprobs) {
      expect(entry.bytes).toEqual([...new TextEncoder().encode(entry.token)]);
      expect(entry.top_logprobs).toHaveLength(20);
      expect(entry.top_logprobs[0]).toEqual({
        token: entry.token,
        logprob: entry.logprob,
        bytes: entry.bytes,
      });
      const sum = entry.top_logprobs.reduce((one, { logprob }) => one + Math.exp(logprob), 0);
      expect(sum).toBeGreaterThan(0.9);
      expect(sum).toBeLessThan(1.0001);
    }
  });

  test("logprobs of a completion, and the same ones at any temperature", async () => {
    const at = async (temperature: number) => {
      const fields = { ...endless, temperature, seed: 1, max_tokens: 1, logprobs: 5 };
      return (await collect(engine, completion("Once there was", fields))).logprobs[0];
    };
    const [cold, hot] = [await at(0), await at(1.9)];
    expect(hot?.top_logprobs[0]?.token).toBe(cold?.top_logprobs[0]?.token);
    const logprob = cold?.top_logprobs[0]?.logprob ?? Number.NaN;
    expect(hot?.top_logprobs[0]?.logprob).toBeCloseTo(logprob, 3);
  });

  test("logit_bias: a banned token never comes, not even one that ends the answer", async () => {
    const free = await answer(question, { ...greedy, max_tokens: 1 });
    const ids = Object.fromEntries(Array.from({ length: 300 }, (_, id) => [String(id), -100]));
    const banned = await answer(question, { ...greedy, max_tokens: 1, logit_bias: ids });
    expect(banned).not.toBe(free);
    const { end } = await collect(
      engine,
      chat(question, { ...greedy, ...endless, max_tokens: 80 }),
    );
    expect(end.usage.completion).toBe(80);
  });

  test("logit_bias only of tokens the model has", async () => {
    const task = chat(question, { logit_bias: { "1024": 1 } });
    await expect(collect(engine, task)).rejects.toMatchObject({
      code: "invalid_request",
      message: "Cannot bias token 1024: the model has 1024 tokens",
    });
  });

  test("penalties, which change the answer", async () => {
    const plain = await answer(longStory, { ...greedy, max_tokens: 120 });
    for (const penalty of [
      { frequency_penalty: 2 },
      { presence_penalty: 2 },
      { presence_penalty: -2 },
      { repeat_penalty: 1.5 },
    ]) {
      const changed = await answer(longStory, { ...greedy, max_tokens: 120, ...penalty });
      expect(changed, JSON.stringify(penalty)).not.toBe(plain);
    }
  });

  test("top_k 1 and min_p 1, which leave only the likeliest token", async () => {
    const likeliest = await answer(question, greedy);
    for (const field of ["top_k", "min_p"]) {
      expect(await answer(question, { temperature: 2, seed: 3, [field]: 1 })).toBe(likeliest);
    }
    await expect(answer(question, { min_p: 2 })).rejects.toThrow("Cannot use min_p 2");
  });

  test("n choices, each with its own index, text and finish", async () => {
    const task = chat(longStory, { n: 6, seed: 1, max_tokens: 20 });
    const { texts, tokens, end } = await collect(engine, task);
    expect(tokens).toEqual([20, 20, 20, 20, 20, 20]);
    expect(new Set(texts).size).toBeGreaterThan(1);
    expect(end.finishes.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(end.usage).toMatchObject({ completion: 120 });
  });

  test("only text: an image is refused by name", async () => {
    const task = chat("");
    if (task.kind === "chat") {
      const image_url = { url: "data:image/png;base64,AA==" };
      task.request.messages = [{ role: "user", content: [{ type: "image_url", image_url }] }];
    }
    await expect(collect(engine, task)).rejects.toThrow("Cannot read image_url");
  });
});
