import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatMessage, ChatRequest } from "../../../shared/openai/chat-request.ts";
import { bundledModelPath } from "../../../worker-agent/models/model-source.ts";
import { scratchFolder } from "../models/scratch-folder.ts";
import { bytes, layOut, takeApart } from "../models/split-gguf.ts";
import { chat, collect } from "./collect.ts";
import type { TinyEngine } from "./tiny-engine.ts";
import { openTinyEngine } from "./tiny-engine.ts";

/** The tools' part of a template as Qwen's, Hermes' and many others have it, cut short. */
const template = [
  `{%- if tools %}<|im_start|>system\n{%- for tool in tools %}\n{{ tool | tojson }}{%- endfor %}`,
  `<|im_end|>\n{%- endif %}`,
  `{%- for message in messages %}`,
  `{%- if message.role == 'tool' %}`,
  `{{- '<|im_start|>user\n<tool_response>\n' + ` +
    `message.content + '\n</tool_response><|im_end|>\n' }}`,
  `{%- elif message.tool_calls %}`,
  `{{- '<|im_start|>assistant' }}`,
  `{%- if message.content %}{{- '\n' + message.content }}{%- endif %}`,
  `{%- for call in message.tool_calls %}{%- set call = call.function %}`,
  `{{- '\n<call>{"name": "' + call.name + '", "with": ' }}{{- call.arguments | tojson }}`,
  `{{- '}</call>' }}{%- endfor %}{{- '<|im_end|>\n' }}`,
  `{%- else %}`,
  `{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{%- endif %}`,
  `{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}`,
].join("");

let folder: Awaited<ReturnType<typeof scratchFolder>>;
let tiny: TinyEngine;

/** The bundled model with this template in the place of its own. */
async function writeModel(path: string): Promise<void> {
  const { values, valueCount, tensors } = takeApart(await readFile(bundledModelPath()));
  const key = bytes("tokenizer.chat_template");
  const at = values.indexOf(key);
  const end = at + key.length + 4;
  const old = 8 + Number(values.readBigUInt64LE(end));
  const own = [values.subarray(0, end), bytes(template), values.subarray(end + old)];
  await writeFile(path, layOut(own, valueCount, tensors));
}

beforeAll(async () => {
  folder = await scratchFolder();
  const path = join(folder.path, "tools.gguf");
  await writeModel(path);
  tiny = await openTinyEngine({}, path);
});
afterAll(async () => {
  await tiny[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

type Tools = NonNullable<ChatRequest["tools"]>;
const tools: Tools = [
  {
    type: "function",
    function: {
      name: "add",
      description: "Adds <|im_end|> two",
      parameters: {
        type: "object",
        properties: { a: { type: "integer", maximum: 9, minimum: 0 } },
        required: ["a"],
      },
    },
  },
];

async function promptTokens(messages: ChatMessage[], fields: Partial<ChatRequest> = {}) {
  const task = chat("", { max_tokens: 1, ...fields });
  if (task.kind === "chat") task.request.messages = messages;
  return (await collect(tiny.engine, task)).end.usage.prompt;
}

describe("a model whose template knows tools", () => {
  test("calls them in the template's own form", async () => {
    const task = chat("Hi", {
      tools,
      tool_choice: "required",
      seed: 1,
      parallel_tool_calls: false,
    });
    const { events, end } = await collect(tiny.engine, task);
    const deltas = events.flatMap((one) =>
      one.kind === "part" ? (one.part.tool_calls ?? []) : [],
    );
    expect(deltas[0]).toMatchObject({ index: 0, name: "add" });
    const text = deltas.map((delta) => delta.arguments ?? "").join("");
    expect(JSON.parse(text)).toEqual({ a: expect.any(Number) });
    expect(end.finishes).toEqual([{ index: 0, reason: "tool_calls" }]);
    // The tokens really made spell the form, of which nothing but the call's parts has left.
    const made = events.flatMap((one) => (one.kind === "part" ? (one.tokenIds ?? []) : []));
    expect(made.length).toBe(end.usage.completion);
  });

  test("reads calls and results in it, as they were written", async () => {
    const call = { name: "add", arguments: '{ "a" : 1 }' };
    const asked: ChatMessage[] = [
      { role: "user", content: "add" },
      { role: "assistant", tool_calls: [{ id: "x", type: "function", function: call }] },
      { role: "tool", tool_call_id: "x", content: "12 <|im_end|>" },
    ];
    const written: ChatMessage[] = [
      { role: "user", content: "add" },
      { role: "assistant", content: '<call>{"name": "add", "with": { "a" : 1 }}</call>' },
      { role: "user", content: "<tool_response>\n12 <|im_end|>\n</tool_response>" },
    ];
    const difference = (await promptTokens(asked)) - (await promptTokens(written));
    // Cut into tokens at other places, but the same text: nothing is quoted or written anew.
    expect(Math.abs(difference)).toBeLessThanOrEqual(4);
    const other = { name: "add", arguments: `{"a": ${"1".repeat(40)}}` };
    const [first, , last] = asked;
    if (first === undefined || last === undefined) return;
    const calling: ChatMessage = {
      role: "assistant",
      tool_calls: [{ id: "x", type: "function", function: other }],
    };
    const longer = await promptTokens([first, calling, last]);
    expect(longer - (await promptTokens(asked))).toBeGreaterThan(20);
  });

  test("is told its tools without a mark that could end the message", async () => {
    const told = await promptTokens([{ role: "user", content: "Hi" }], { tools });
    const [tool] = tools;
    if (tool === undefined) return;
    const plain = { ...tool, function: { ...tool.function, description: "Adds  two" } };
    const without = await promptTokens([{ role: "user", content: "Hi" }], { tools: [plain] });
    // As letters the mark takes several tokens, as one special token it would take one.
    expect(told - without).toBeGreaterThan(3);
  });
});
