import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatRequest } from "../../../shared/openai/chat-request.ts";
import type { ToolCallDelta } from "../../../shared/openai/output.ts";
import type { Collected } from "./collect.ts";
import { chat, collect } from "./collect.ts";
import type { TinyEngine } from "./tiny-engine.ts";
import { openTinyEngine } from "./tiny-engine.ts";

let tiny: TinyEngine;

beforeAll(async () => {
  tiny = await openTinyEngine();
});
afterAll(() => tiny[Symbol.asyncDispose]());

type Tools = NonNullable<ChatRequest["tools"]>;

const integer = { type: "integer", minimum: 0, maximum: 99 };
const add: Tools[number] = {
  type: "function",
  function: {
    name: "add",
    parameters: {
      type: "object",
      properties: { a: integer, b: integer },
      required: ["a", "b"],
      additionalProperties: false,
    },
  },
};
const weather: Tools[number] = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string", maxLength: 9 }, unit: { enum: ["C", "F"] } },
      required: ["city", "unit"],
    },
  },
};
const tools = [weather, add];

interface Call {
  readonly ids: string[];
  readonly names: string[];
  text: string;
}

function deltasOf({ events }: Collected): ToolCallDelta[] {
  return events.flatMap((event) => (event.kind === "part" ? (event.part.tool_calls ?? []) : []));
}

function callsOf(collected: Collected): Call[] {
  const calls: Call[] = [];
  for (const delta of deltasOf(collected)) {
    const call = (calls[delta.index] ??= { ids: [], names: [], text: "" });
    if (delta.id !== undefined) call.ids.push(delta.id);
    if (delta.name !== undefined) call.names.push(delta.name);
    call.text += delta.arguments ?? "";
  }
  return calls;
}

function assertValid(call: Call | undefined): void {
  expect(call?.names).toHaveLength(1);
  expect(call?.ids).toHaveLength(1);
  const tool = tools.find((one) => one.function.name === call?.names[0]);
  const validate = new Ajv2020().compile(tool?.function.parameters ?? false);
  expect(validate(JSON.parse(call?.text ?? "")), call?.text).toBe(true);
}

/**
 * Makes the model write these texts first: each of their tokens comes once, in this order, and only
 * what a call of `add` is written with can follow.
 */
async function forced(texts: readonly string[]): Promise<Partial<ChatRequest>> {
  const signal = new AbortController().signal;
  const idsOf = async (text: string) => [...(await tiny.engine.tokenize(text, signal))];
  const call = '<tool_call>\n{"name": "add", "arguments": {"a": 12, "b": 30}}\n</tool_call>';
  const allowed = (await Promise.all([...call].map(idsOf))).flat();
  const biases = new Map(Array.from({ length: 1024 }, (_, id) => [id, -100]));
  for (const id of [...allowed, ...(await idsOf(call))]) biases.set(id, 0);
  const first = (await Promise.all(texts.map(idsOf))).flat();
  for (const [index, id] of first.entries()) biases.set(id, 100 - 10 * index);
  const logit_bias = Object.fromEntries(biases);
  return { logit_bias, repeat_penalty: 10, temperature: 0, max_tokens: 120 };
}

describe("a request with tools", () => {
  test("is answered by one valid call, streamed, where one is required", async () => {
    for (const seed of [1, 2, 3, 4]) {
      const task = chat("add 2 and 3", { tools, tool_choice: "required", seed });
      const answer = await collect(tiny.engine, task);
      expect(answer.end.finishes).toEqual([{ index: 0, reason: "tool_calls" }]);
      expect(answer.texts.join("")).toBe("");
      const calls = callsOf(answer);
      expect(calls).toHaveLength(1);
      assertValid(calls[0]);
      const [first, ...others] = deltasOf(answer);
      expect(first).toMatchObject({ index: 0, id: expect.stringMatching(/^call_/), arguments: "" });
      expect(others.length).toBeGreaterThan(3);
      for (const delta of others) expect(Object.keys(delta)).toEqual(["index", "arguments"]);
      expect(answer.tokens[0]).toBe(answer.end.usage.completion);
    }
  });

  test("is answered by the function that is named", async () => {
    for (const { function: tool } of tools) {
      const tool_choice = { type: "function" as const, function: { name: tool.name } };
      const answer = await collect(tiny.engine, chat("Hi", { tools, tool_choice, seed: 5 }));
      expect(callsOf(answer).map(({ names }) => names)).toEqual([[tool.name]]);
      assertValid(callsOf(answer)[0]);
    }
  });

  test("may be answered by several calls, each with an id and an index of its own", async () => {
    const fields = { tools, tool_choice: "required", parallel_tool_calls: true } as const;
    const found: Call[][] = [];
    for (let seed = 0; seed < 8; seed++) {
      found.push(callsOf(await collect(tiny.engine, chat("Hi", { ...fields, seed }))));
    }
    const several = found.find((calls) => calls.length > 1) ?? [];
    expect(several.length).toBeGreaterThan(1);
    for (const call of several.slice(0, -1)) assertValid(call);
    expect(new Set(several.flatMap(({ ids }) => ids)).size).toBe(several.length);
  });

  test("is answered by text where none is to be called, or the model calls none", async () => {
    const question = "What is the capital of France?";
    for (const tool_choice of ["none", "auto"] as const) {
      const task = chat(question, { tools, tool_choice, temperature: 0 });
      const answer = await collect(tiny.engine, task);
      expect(answer.texts[0]).toContain("Paris");
      expect(deltasOf(answer)).toEqual([]);
      expect(answer.end.finishes).toEqual([{ index: 0, reason: "stop" }]);
    }
  });

  test("is answered by text and then a call where the model begins one itself", async () => {
    const fields = { ...(await forced(["A", "<tool_call>"])), tools: [add] };
    const answer = await collect(tiny.engine, chat("Hi", { ...fields, logprobs: true }));
    expect(answer.texts[0]).toBe("A");
    expect(answer.end.finishes).toEqual([{ index: 0, reason: "tool_calls" }]);
    expect(callsOf(answer)).toHaveLength(1);
    assertValid(callsOf(answer)[0]);
    expect(answer.logprobs[0]?.token).toBe("A");
    expect(answer.logprobs.map(({ token }) => token).join("")).not.toContain("add");
  });

  test("may be answered by a call in the place of JSON that was asked for too", async () => {
    const response_format = { type: "json_object" } as const;
    const fields = { ...(await forced(["<"])), tools: [add], response_format };
    const called = await collect(tiny.engine, chat("Hi", fields));
    assertValid(callsOf(called)[0]);
    const { logit_bias: _, ...unforced } = fields;
    const task = chat("Give me a JSON object", { ...unforced, repeat_penalty: 1 });
    const json = await collect(tiny.engine, task);
    expect(callsOf(json)).toEqual([]);
    expect(JSON.parse(json.texts[0] ?? "")).toBeTypeOf("object");
  });

  test("whose schemas a grammar cannot keep is answered by JSON, or refused where strict", async () => {
    const parameters = {
      type: "object",
      properties: { n: { ...integer, multipleOf: 3 }, s: { type: "string", pattern: "^a+$" } },
      required: ["n"],
      minProperties: 1,
    };
    const loose = { type: "function" as const, function: { name: "odd", parameters } };
    const fields = { tool_choice: "required", seed: 3, max_tokens: 200 } as const;
    const answer = await collect(tiny.engine, chat("Hi", { tools: [loose], ...fields }));
    const [call] = callsOf(answer);
    if (answer.end.finishes[0]?.reason === "tool_calls") {
      expect(JSON.parse(call?.text ?? "")).toHaveProperty("n");
    }
    expect(call?.names).toEqual(["odd"]);
    const strict = { ...loose, function: { ...loose.function, strict: true } };
    const refused = collect(tiny.engine, chat("Hi", { tools: [strict], ...fields }));
    await expect(refused).rejects.toMatchObject({ code: "invalid_request" });
    const none = { type: "function" as const, function: { name: "ping" } };
    const ping = await collect(tiny.engine, chat("Hi", { tools: [none], ...fields }));
    expect(callsOf(ping)[0]?.names).toEqual(["ping"]);
  });

  test("and calls and results in its history is read", async () => {
    const task = chat("", { tools: [add], temperature: 0, max_tokens: 5 });
    if (task.kind !== "chat") return;
    const call = { name: "add", arguments: '{"a":1,"b":2}' };
    task.request.messages = [
      { role: "user", content: "add 1 and 2" },
      { role: "assistant", tool_calls: [{ id: "x", type: "function", function: call }] },
      { role: "tool", tool_call_id: "x", content: "3" },
    ];
    const withResult = await collect(tiny.engine, task);
    expect(withResult.end.usage.completion).toBeGreaterThan(0);
    task.request.messages = task.request.messages.slice(0, 2);
    const without = await collect(tiny.engine, task);
    expect(without.end.usage.prompt).toBeLessThan(withResult.end.usage.prompt);
    task.request.messages.push({ role: "tool", tool_call_id: "y", content: "3" });
    await expect(collect(tiny.engine, task)).rejects.toMatchObject({
      code: "invalid_request",
      message: "Cannot read a tool message: no call has the id y",
    });
  });
});
