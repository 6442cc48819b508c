import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ChatMessage, ChatRequest } from "../../../shared/openai/chat-request.ts";
import type { Engine, GenerateTask } from "../../../worker-agent/engine/engine.ts";
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

const greedy = { temperature: 0, max_tokens: 24 } as const;
const free = { max_tokens: 12 } as const;

function talk(messages: ChatMessage[], fields: Partial<ChatRequest>): GenerateTask {
  const task = chat("", fields);
  if (task.kind === "chat") task.request.messages = messages;
  return task;
}

/** About 300 tokens, of which `name` is in the first dozen. */
function longPrompt(name: string): string {
  const line = "The octopus went out to look for an endpoint in front of the sea. ";
  return `This is about ${name}. ${line.repeat(14)}`;
}

describe("turns of one conversation", () => {
  test("evaluate only what is new, and say how much was not", async () => {
    const messages: ChatMessage[] = [{ role: "user", content: "Tell me a story about a fox" }];
    const first = await collect(engine, talk(messages, free));
    expect(first.end.usage.cached).toBe(0);
    messages.push({ role: "assistant", content: first.texts[0] ?? "" });
    messages.push({ role: "user", content: "What is this?" });
    const second = await collect(engine, talk(messages, free));
    const { prompt, cached } = second.end.usage;
    // All of the first turn's prompt, and most of its answer: its last token was never evaluated,
    // and tokens of a cut text may differ.
    expect(cached).toBeGreaterThanOrEqual(first.end.usage.prompt);
    expect(cached).toBeLessThan(prompt);
    expect(cached).toBeLessThan(first.end.usage.prompt + first.end.usage.completion);
  });

  test("do not push each other out while there is room", async () => {
    const conversations = ["Ann", "Bob"].map(longPrompt);
    for (const prompt of conversations) await collect(engine, chat(prompt, free));
    for (const prompt of conversations) {
      const { usage } = (await collect(engine, chat(prompt, free))).end;
      expect(usage.cached).toBe(usage.prompt - 1);
    }
    // A third one takes the place of the one that was used longest ago.
    await collect(engine, chat(longPrompt("Cid"), free));
    const again = async (name: string) => (await collect(engine, chat(longPrompt(name), free))).end;
    expect((await again("Bob")).usage.cached).toBeGreaterThan(200);
    expect((await again("Ann")).usage.cached).toBeLessThan(30);
  });

  test("leave nothing of themselves in another conversation's answer", async () => {
    const questions = ["What is this?", "Tell me a story about a fox", longPrompt("Ann")];
    const alone = new Map<string, string>();
    for (const question of questions) {
      await using fresh = await openTinyEngine({ slots: 1 });
      const { texts } = await collect(fresh.engine, chat(question, greedy));
      alone.set(question, texts[0] ?? "");
    }
    for (let round = 0; round < 3; round++) {
      for (const question of questions) {
        await collect(engine, chat(`${question} Ruth`, { max_tokens: 9 }));
        const { texts } = await collect(engine, chat(question, greedy));
        expect(texts[0]).toBe(alone.get(question));
      }
    }
  });

  test("after an abort go on as if there had been none", async () => {
    const abort = new AbortController();
    const task = chat(longPrompt("Ann"), { max_tokens: 100 });
    const cut = await collect(engine, task, abort.signal, (parts) => {
      if (parts === 3) abort.abort();
    });
    expect(cut.end.finishes).toEqual([]);
    const { texts } = await collect(engine, chat(longPrompt("Ann"), greedy));
    await using fresh = await openTinyEngine();
    const expected = await collect(fresh.engine, chat(longPrompt("Ann"), greedy));
    expect(texts).toEqual(expected.texts);
  });
});

describe("a repeatable answer", () => {
  test("is the same whether its prompt was cached or not", async () => {
    const seeded = { seed: 4, temperature: 1, max_tokens: 40 } as const;
    for (const fields of [{ ...greedy, max_tokens: 40 }, seeded]) {
      for (const name of ["Ann", "Bob", "Cid", "Dan", "Eve"]) {
        const task = completion(longPrompt(name), fields);
        await using fresh = await openTinyEngine({ slots: 2 });
        const first = await collect(fresh.engine, task);
        // The same words in another shape before it: what they left must not be taken.
        await collect(fresh.engine, completion(longPrompt(name).slice(0, 300), free));
        const second = await collect(fresh.engine, task);
        const third = await collect(fresh.engine, task);
        expect([second.texts, third.texts]).toEqual([first.texts, first.texts]);
        expect(first.end.usage.cached).toBe(0);
        expect(third.end.usage.cached).toBe(256);
      }
    }
  });
});
