import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { OutputPart } from "../../../shared/openai/output.ts";
import { outputPartSchema } from "../../../shared/openai/output.ts";
import type { Engine } from "../../../worker-agent/engine/engine.ts";
import { until } from "../../helpers/until.ts";
import { chat, collect, completion } from "../engine/collect.ts";
import { entry } from "./dialect-model.ts";
import { openWorld } from "./open-recorded.ts";
import {
  events,
  inPieces,
  type RecordedServer,
  type Reply,
  type Route,
} from "./recorded-server.ts";
import { llamaServerRoutes } from "./recorded-llama-server.ts";
import { ollamaRoutes } from "./recorded-ollama.ts";
import { vllmRoutes } from "./recorded-vllm.ts";

const dialects: [string, () => Record<string, Route>, string][] = [
  ["Ollama", ollamaRoutes, "llama3.2:latest"],
  ["llama-server", llamaServerRoutes, "../models/Qwen3-0.6B-Q8_0.gguf"],
  ["vLLM", vllmRoutes, "Qwen/Qwen2.5-VL-7B-Instruct"],
];

/** The parts of an answer; their tokens add up to what the end says. */
async function partsOf(engine: Engine, task: Parameters<typeof collect>[1]) {
  const collected = await collect(engine, task);
  const parts = collected.events.flatMap((event) => (event.kind === "part" ? [event.part] : []));
  for (const part of parts) outputPartSchema.parse(part);
  const counted = parts.reduce((sum, part) => sum + part.tokens, 0);
  expect(counted).toBe(collected.end.usage.completion);
  return { ...collected, parts };
}

const weather = {
  type: "function" as const,
  function: { name: "get_weather", parameters: { type: "object" } },
};

describe.each(dialects)("an answer of %s", (name, routes, model) => {
  test("passes through as it is, and its tokens are counted", async () => {
    await using world = await openWorld(routes());
    const engine = await world.open(model);
    const { texts, end } = await partsOf(engine, chat("Hi"));
    expect(texts).toEqual(["Hello there, friend. 🦙"]);
    expect(end.finishes).toEqual([{ index: 0, reason: "stop" }]);
    expect(end.usage.prompt).toBeGreaterThan(0);
    expect(end.usage.cached).toBe(name === "llama-server" ? 7 : 0);
  });

  test("is asked for under the server's name of the model, with every field of the consumer", async () => {
    await using world = await openWorld(routes());
    const engine = await world.open(model);
    const fields = { temperature: 0.5, stop: ["x"], seed: -3, max_completion_tokens: 9, top_k: 3 };
    const others = { user: "somebody", logprobs: null, store: false, chat_template: "{{ x }}" };
    await collect(engine, chat("Hi", { ...fields, ...others }));
    const body = world.server.bodies("/v1/chat/completions").at(-1);
    expect(body).toMatchObject({
      model,
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0.5,
      stop: ["x"],
      seed: 3,
      max_tokens: 9,
      ...(name === "Ollama" ? {} : { top_k: 3 }),
    });
    for (const left of ["user", "logprobs", "max_completion_tokens", "store", "chat_template"]) {
      expect(body).not.toHaveProperty(left);
    }
  });

  test("that is cut by its limit says so", async () => {
    await using world = await openWorld(routes());
    const engine = await world.open(model);
    const { end } = await partsOf(engine, chat("Hi", { max_tokens: 3 }));
    expect(end.finishes).toEqual([{ index: 0, reason: "length" }]);
  });

  test("calls a tool, its arguments in pieces", async () => {
    await using world = await openWorld(routes());
    const engine = await world.open(model);
    const { parts, end } = await partsOf(engine, chat("Weather?", { tools: [weather] }));
    const calls = parts.flatMap((part) => part.tool_calls ?? []);
    expect(calls[0]).toMatchObject({ index: 0, name: "get_weather" });
    expect(calls[0]?.id).toMatch(/\w+/);
    const given = calls.map((call) => call.arguments ?? "").join("");
    expect(JSON.parse(given)).toEqual({ city: "Rome" });
    expect(end.finishes).toEqual([{ index: 0, reason: "tool_calls" }]);
  });

  test("completes a plain prompt", async () => {
    await using world = await openWorld(routes());
    const engine = await world.open(model);
    const { texts } = await partsOf(engine, completion("Once", { max_tokens: 16 }));
    expect(texts).toEqual(["Hello there, friend. 🦙"]);
  });

  test("goes on from another worker's beginning where that was proved", async () => {
    await using world = await openWorld(routes());
    const engine = await world.open(model);
    const task = {
      ...chat("Count", { max_tokens: 5 }),
      prefix: { text: "one, two,", tokenIds: null },
    };
    if (!engine.model.abilities.includes("forced_prefix")) {
      await expect(collect(engine, task)).rejects.toMatchObject({ code: "invalid_request" });
      return;
    }
    const { texts, end } = await partsOf(engine, task);
    expect(texts[0]).toMatch(/^ three,/);
    expect(end.finishes).toEqual([{ index: 0, reason: "length" }]);
    // The limit is of the whole answer, and these five are all of it.
    const told = { text: "one, two,", tokenIds: [1, 2, 3, 4, 5] };
    const full = await partsOf(engine, { ...task, prefix: told });
    expect(full.texts).toEqual([]);
    expect(full.end.finishes).toEqual([{ index: 0, reason: "length" }]);
    const body = world.server.bodies("/v1/chat/completions").at(-1);
    expect(body?.["max_tokens"]).toBe(name === "Ollama" ? 2 : 3);
    // The server read the beginning with the prompt; it is no part of what is asked to be paid.
    const { prefix: _, ...whole } = task;
    const alone = await partsOf(engine, whole);
    expect(end.usage.prompt).toBeLessThan(alone.end.usage.prompt);
    expect(end.usage.prompt).toBeGreaterThan(0);
  });
});

describe("an answer", () => {
  test("tells its reasoning apart, and counts it", async () => {
    await using world = await openWorld(llamaServerRoutes());
    const engine = await world.open("../models/Qwen3-0.6B-Q8_0.gguf");
    const { parts } = await partsOf(engine, chat("Hi"));
    expect(parts.map((part) => part.reasoning ?? "").join("")).toBe("Let me");
    expect(parts.find((part) => part.reasoning === "Let")?.tokens).toBe(1);
  });

  test.each(dialects.slice(1))("of %s carries its log probabilities", async (_n, routes, model) => {
    await using world = await openWorld(routes());
    const engine = await world.open(model);
    const fields = { logprobs: true, top_logprobs: 2 };
    const { logprobs, texts } = await partsOf(engine, chat("Hi", fields));
    const said = logprobs.map(({ token }) => token).join("");
    expect(said.endsWith(texts[0] ?? "-")).toBe(true);
    expect(logprobs[0]?.top_logprobs).toHaveLength(2);
    const plain = await partsOf(engine, completion("Once", { logprobs: 2, max_tokens: 3 }));
    expect(plain.logprobs).toHaveLength(3);
    expect(plain.logprobs[0]?.logprob).toBe(-0.25);
  });

  test.each(dialects.slice(1))("of %s has the choices asked for", async (_n, routes, model) => {
    await using world = await openWorld(routes());
    const engine = await world.open(model);
    const { texts, end } = await partsOf(engine, chat("Hi", { n: 3 }));
    expect(texts).toEqual(Array.from({ length: 3 }, () => "Hello there, friend. 🦙"));
    expect(end.finishes.map(({ index }) => index).toSorted()).toEqual([0, 1, 2]);
  });

  test("is made without tools where Ollama is to call none, and a call is never forced", async () => {
    await using world = await openWorld(ollamaRoutes());
    const engine = await world.open("llama3.2:latest");
    const none = await partsOf(engine, chat("Hi", { tools: [weather], tool_choice: "none" }));
    expect(none.texts).toEqual(["Hello there, friend. 🦙"]);
    const forced = chat("Hi", { tools: [weather], tool_choice: "required" });
    await expect(collect(engine, forced)).rejects.toMatchObject({ code: "invalid_request" });
  });

  test.each(["http://169.254.169.254/latest", "file:///etc/passwd", "/etc/passwd"])(
    "is not made of %s: a server would fetch it from the provider's own network or disk",
    async (url) => {
      await using world = await openWorld(vllmRoutes());
      const engine = await world.open("Qwen/Qwen2.5-VL-7B-Instruct");
      const before = world.server.asked.length;
      const content = [{ type: "image_url" as const, image_url: { url } }];
      const task = chat("", { messages: [{ role: "user", content }] });
      await expect(collect(engine, task)).rejects.toMatchObject({ code: "invalid_request" });
      expect(world.server.asked).toHaveLength(before);
    },
  );

  test("to a developer's message is asked for with a system's, which templates know", async () => {
    await using world = await openWorld(vllmRoutes());
    const engine = await world.open("Qwen/Qwen2.5-VL-7B-Instruct");
    const messages = [
      { role: "developer" as const, content: "Be brief." },
      { role: "user" as const, content: "Hi" },
    ];
    await collect(engine, chat("", { messages }));
    const body = world.server.bodies("/v1/chat/completions").at(-1);
    expect(body?.["messages"]).toMatchObject([{ role: "system" }, { role: "user" }]);
  });
});

const plain = (content: string, finish_reason: string | null = null, index = 0) => ({
  choices: [{ index, delta: { content }, finish_reason }],
});
const usage = (completion_tokens: number) => ({
  choices: [],
  usage: { prompt_tokens: 9, completion_tokens },
});

async function worldOf(reply: Reply) {
  const world = await openWorld(ollamaRoutes());
  const engine = await world.open("llama3.2:latest");
  world.server.routes["/v1/chat/completions"] = reply;
  return { world, engine };
}

describe("the tokens of an answer", () => {
  test("that the server counts more of come with a last part", async () => {
    const text = events([plain("a"), plain("b", "stop"), usage(7)]);
    const { world, engine } = await worldOf({ pieces: inPieces(text) });
    await using _ = world;
    const { end, parts } = await partsOf(engine, chat("Hi"));
    expect(end.usage).toEqual({ prompt: 9, completion: 7, cached: 0 });
    expect(parts.map((part: OutputPart) => part.tokens)).toEqual([1, 1, 5]);
  });

  test("that nobody counts are the pieces that came", async () => {
    const { world, engine } = await worldOf({
      pieces: inPieces(events([plain("a"), plain("b"), plain("", "stop")], false)),
    });
    await using _ = world;
    const { end } = await partsOf(engine, chat("Hi"));
    expect(end.usage.completion).toBe(2);
    // The prompt's are estimated by what earlier requests took.
    expect(end.usage.prompt).toBeGreaterThanOrEqual(0);
  });

  test("add up, whatever a server says of them", async () => {
    const piece = fc.record({
      text: fc.constantFrom("", "a", "🦙"),
      logprobs: fc.boolean(),
      made: fc.option(fc.nat({ max: 9 })),
    });
    const { world, engine } = await worldOf({ pieces: [] });
    await using _ = world;
    const said = fc.option(fc.nat({ max: 20 }));
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), said, async (pieces, total) => {
        const chunks: unknown[] = pieces.map(({ text, logprobs, made }) => ({
          choices: [
            {
              index: 0,
              delta: { content: text },
              logprobs: logprobs ? { content: [entry("a")] } : null,
              finish_reason: null,
            },
          ],
          ...(made === null ? {} : { timings: { predicted_n: made, prompt_n: 3 } }),
        }));
        chunks.push(plain("", "stop"), ...(total === null ? [] : [usage(total)]));
        world.server.routes["/v1/chat/completions"] = { pieces: inPieces(events(chunks), 50) };
        const { texts } = await partsOf(engine, chat("Hi"));
        expect(texts[0] ?? "").toBe(pieces.map(({ text }) => text).join(""));
      }),
      { numRuns: 40 },
    );
  });
});

/** How many connections were closed early, once those of earlier answers are. */
async function settled(server: RecordedServer): Promise<number> {
  await until("no connection is open", () => server.openConnections === 0);
  return server.abandoned;
}

describe("an answer that nobody waits for any more", () => {
  test("ends at once, counts what was made, and closes the server's connection", async () => {
    const pieces = inPieces(events([plain("a"), plain("b"), plain("c")], false));
    const { world, engine } = await worldOf({
      pieces: inPieces(events([plain("a", "stop"), usage(1)])),
    });
    await using _ = world;
    // What a prompt takes is known from an answer that told.
    await collect(engine, chat("Hi"));
    world.server.routes["/v1/chat/completions"] = { pieces, after: "hang" };
    const before = await settled(world.server);
    const leaving = new AbortController();
    const { texts, end } = await collect(engine, chat("Hi"), leaving.signal, (parts) => {
      if (parts === 3) leaving.abort();
    });
    expect(texts).toEqual(["abc"]);
    expect(end.finishes).toEqual([]);
    expect(end.usage.completion).toBe(3);
    expect(end.usage.prompt).toBeGreaterThan(0);
    await until("the server sees its connection closed", () => world.server.abandoned > before);
    expect(engine.stats().running).toBe(0);
  });

  test("costs nothing before the server has begun", async () => {
    const { world, engine } = await worldOf({ hang: true });
    await using _ = world;
    const leaving = new AbortController();
    const running = collect(engine, chat("Hi"), leaving.signal);
    await until("it is asked", () => engine.stats().running === 1);
    leaving.abort();
    const { end } = await running;
    expect(end).toMatchObject({ finishes: [], usage: { prompt: 0, completion: 0 } });
  });

  test("whose reader leaves closes the connection too", async () => {
    const pieces = inPieces(events([plain("a"), plain("b")], false));
    const { world, engine } = await worldOf({ pieces, after: "hang" });
    await using _ = world;
    const before = await settled(world.server);
    const never = new AbortController().signal;
    for await (const event of engine.generate(chat("Hi"), never)) {
      if (event.kind === "part") break;
    }
    await until("the server sees its connection closed", () => world.server.abandoned > before);
  });
});
