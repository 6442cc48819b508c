import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine, GenerateTask } from "../../../worker-agent/engine/engine.ts";
import type { Collected } from "./collect.ts";
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

/** What had been delivered after `parts` parts, as a hub keeps it. */
function delivered({ events }: Collected, parts: number): { text: string; tokenIds: number[] } {
  let text = "";
  const tokenIds: number[] = [];
  for (const event of events.slice(0, parts)) {
    if (event.kind === "end") break;
    text += event.part.text ?? "";
    tokenIds.push(...(event.tokenIds ?? []));
  }
  return { text, tokenIds };
}

function continued(task: GenerateTask, text: string, tokenIds: number[] | null): GenerateTask {
  return { ...task, prefix: { text, tokenIds } };
}

async function text(task: GenerateTask): Promise<string> {
  return (await collect(engine, task)).texts[0] ?? "";
}

describe("an answer that another worker began", () => {
  test("goes on from any of its tokens to the very same end", async () => {
    const questions = ["What is this?", "Tell me a story about a fox"];
    const tasks = questions.map((question) => chat(question, { temperature: 0 }));
    tasks.push(completion("Once there was a fox", { temperature: 0, max_tokens: 60 }));
    // The generator of random numbers is brought to where it was.
    tasks.push(chat("Tell me a story about a fox", { seed: 11, max_tokens: 40 }));
    for (const task of tasks) {
      const whole = await collect(engine, task);
      const total = whole.end.usage.completion;
      for (let parts = 1; parts < whole.events.length - 1; parts += 4) {
        const before = delivered(whole, parts);
        const rest = await collect(engine, continued(task, before.text, before.tokenIds));
        expect(before.text + (rest.texts[0] ?? "")).toBe(whole.texts[0]);
        expect(rest.end.finishes).toEqual(whole.end.finishes);
        expect(rest.end.usage.completion).toBe(total - before.tokenIds.length);
        expect(rest.end.usage.prompt).toBe(whole.end.usage.prompt);
        const tokens = rest.events.flatMap((one) => (one.kind === "part" ? one.tokenIds : []));
        expect(tokens).toHaveLength(rest.end.usage.completion);
      }
    }
  });

  test("goes on from its text alone, and never repeats it", async () => {
    const task = chat("What is this?", { temperature: 0 });
    const whole = await text(task);
    const cut = whole.indexOf(" in front");
    const rest = await text(continued(task, whole.slice(0, cut), null));
    expect(rest).toMatch(/^ in front of everybody's GPUs/);
    // Tokens that spell another text are not believed.
    expect(await text(continued(task, whole.slice(0, cut), [1, 2, 3]))).toBe(rest);
  });

  test("goes on from its text where its tokens are none of this model's", async () => {
    const task = chat("What is this?", { temperature: 0 });
    const whole = await text(task);
    const cut = whole.indexOf(" in front");
    const rest = await text(continued(task, whole.slice(0, cut), null));
    for (const id of [2 ** 31 - 1, 1e6, -1, -7, 0.5, Number.NaN]) {
      expect(await text(continued(task, whole.slice(0, cut), [id]))).toBe(rest);
    }
    expect(await text(continued(task, "", [1e6]))).toBe(whole);
  });

  test("keeps the limit of the whole answer", async () => {
    const task = chat("Tell me a long story about an octopus", { temperature: 0, max_tokens: 20 });
    const whole = await collect(engine, task);
    const before = delivered(whole, 12);
    const rest = await collect(engine, continued(task, before.text, before.tokenIds));
    expect(rest.end.usage.completion).toBe(8);
    expect(rest.end.finishes).toEqual([{ index: 0, reason: "length" }]);
    const all = delivered(whole, 20);
    const none = await collect(engine, continued(task, all.text, all.tokenIds));
    expect(none.events).toEqual([
      {
        kind: "end",
        finishes: [{ index: 0, reason: "length" }],
        usage: { prompt: whole.end.usage.prompt, completion: 0, cached: 0 },
      },
    ]);
  });

  test("ends at a stop sequence that began before the border", async () => {
    const plain = chat("What is this?", { temperature: 0 });
    const whole = await text(plain);
    const cut = whole.indexOf("everybody") + 5;
    const task = chat("What is this?", { temperature: 0, stop: ["everybody's"] });
    const rest = await collect(engine, continued(task, whole.slice(0, cut), null));
    expect(rest.texts.join("")).toBe("");
    expect(rest.end.finishes).toEqual([{ index: 0, reason: "stop" }]);
  });

  test("leaves out no text that was made but held back", async () => {
    const task = chat("What is this?", { temperature: 0, stop: ["frontier"] });
    const whole = await collect(engine, task);
    let found = 0;
    for (let parts = 1; parts < whole.events.length - 1; parts++) {
      const before = delivered(whole, parts);
      const rest = await text(continued(task, before.text, before.tokenIds));
      expect(before.text + rest).toBe(whole.texts[0]);
      found += 1;
    }
    expect(found).toBeGreaterThan(10);
  });

  test("stays within its JSON schema", async () => {
    const schema = {
      type: "object",
      properties: {
        name: { type: "string", maxLength: 12 },
        ages: { type: "array", items: { type: "integer" }, maxItems: 3 },
      },
      required: ["name", "ages"],
    };
    const response_format = { type: "json_schema", json_schema: { name: "x", schema } } as const;
    const task = chat("Give me a JSON object", { temperature: 0, response_format });
    const whole = await collect(engine, task);
    for (let parts = 1; parts < whole.events.length - 1; parts++) {
      const before = delivered(whole, parts);
      for (const ids of [before.tokenIds, null]) {
        const rest = await text(continued(task, before.text, ids));
        const answer = before.text + rest;
        expect(JSON.parse(answer)).toHaveProperty("ages");
        if (ids !== null) expect(answer).toBe(whole.texts[0]);
      }
    }
    const broken = collect(engine, continued(task, "Sure! ", null));
    await expect(broken).rejects.toMatchObject({
      code: "invalid_request",
      message: "Cannot continue the answer: its beginning breaks the form that was asked for",
    });
  });

  test("counts its beginning for penalties", async () => {
    const fields = { temperature: 0, max_tokens: 60, repeat_penalty: 1.5 } as const;
    const task = chat("Tell me a story about a fox", fields);
    const whole = await collect(engine, task);
    for (const parts of [10, 25, 40]) {
      const before = delivered(whole, parts);
      const rest = await text(continued(task, before.text, before.tokenIds));
      expect(before.text + rest).toBe(whole.texts[0]);
    }
  });

  test("is one choice", async () => {
    const task = chat("What is this?", { n: 2 });
    await expect(collect(engine, continued(task, "A", null))).rejects.toMatchObject({
      code: "invalid_request",
      message: "Cannot continue an answer of several choices",
    });
  });
});
