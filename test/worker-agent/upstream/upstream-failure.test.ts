import { describe, expect, test } from "vitest";
import type { Engine } from "../../../worker-agent/engine/engine.ts";
import { EngineError } from "../../../worker-agent/engine/engine.ts";
import { publicSentence } from "../../../worker-agent/upstream/errors.ts";
import { Secret } from "../../../worker-agent/upstream/secret.ts";
import { chat, collect } from "../engine/collect.ts";
import { openWorld } from "./open-recorded.ts";
import { events, inPieces, type Reply } from "./recorded-server.ts";
import { ollamaRoutes } from "./recorded-ollama.ts";

const never = new AbortController().signal;
const chunk = (content: string, finish_reason: string | null = null, index: unknown = 0) => ({
  choices: [{ index, delta: { content }, finish_reason }],
});

async function worldOf(reply: Reply) {
  const world = await openWorld(ollamaRoutes());
  const engine = await world.open("llama3.2:latest", { key: "sk-very-secret-key" });
  world.server.routes["/v1/chat/completions"] = reply;
  return { world, engine };
}

async function failureOf(engine: Engine): Promise<EngineError> {
  const failed: unknown = await collect(engine, chat("Hi")).catch((error: unknown) => error);
  if (!(failed instanceof EngineError)) throw new Error(`no EngineError: ${String(failed)}`);
  return failed;
}

describe("what a server refuses", () => {
  test.each([
    [
      "vLLM",
      400,
      {
        error: {
          message:
            "This model's maximum context length is 8192 tokens. However, you requested 9000 " +
            "tokens (8000 in the messages, 1000 in the completion). Please reduce the length.",
          type: "BadRequestError",
          param: null,
          code: 400,
        },
      },
    ],
    [
      "older vLLM",
      400,
      {
        object: "error",
        message: "This model's maximum context length is 6048 tokens.",
        code: 400,
      },
    ],
    [
      "llama-server",
      400,
      {
        error: {
          code: 400,
          message: "request (9412 tokens) exceeds the available context size (8192 tokens)",
          type: "exceed_context_size_error",
          n_prompt_tokens: 9412,
          n_ctx: 8192,
        },
      },
    ],
    [
      "SGLang",
      400,
      {
        object: "error",
        message:
          "The input (150000 tokens) is longer than the model's context length (128000 tokens).",
      },
    ],
    [
      "LM Studio",
      400,
      {
        error:
          "Trying to keep the first 8337 tokens when context the overflows. However, the model " +
          "is loaded with context length of only 4096 tokens.",
      },
    ],
    ["llama-server in the middle", 500, { error: { message: "Context size has been exceeded." } }],
  ])("for its context is the consumer's to mend: %s", async (_who, status, json) => {
    const { world, engine } = await worldOf({ status, json });
    await using _ = world;
    expect((await failureOf(engine)).code).toBe("context_length_exceeded");
  });

  test.each([
    ["OpenAI's shape", { error: { message: "temperature must be at most 2" } }],
    ["FastAPI's shape", { detail: [{ loc: ["body"], msg: "temperature must be at most 2" }] }],
    ["a sentence alone", { error: "temperature must be at most 2" }],
  ])("for a wrong field is said in its words, in %s", async (_shape, json) => {
    const { world, engine } = await worldOf({ status: 400, json });
    await using _ = world;
    const failure = await failureOf(engine);
    expect(failure.code).toBe("invalid_request");
    expect(failure.message).toBe("Cannot answer: temperature must be at most 2");
  });

  test.each([401, 403, 404, 429, 500, 502, 503])(
    "by %d is no fault of the request, and nothing of it is told",
    async (status) => {
      const json = { error: { message: "the secrets of /srv/models" } };
      const { world, engine } = await worldOf({ status, json });
      await using _ = world;
      const failure = await failureOf(engine);
      expect(failure.code).toBe("engine_failed");
      expect(failure.message).toBe(`Cannot answer: the model's server answered ${status}`);
    },
  );

  test.each([
    ["7", 7_000],
    ["86400", 600_000],
    ["never", null],
    [undefined, null],
  ])("that asks for a rest of %s is left alone for %j ms", async (header, retryAfterMs) => {
    const headers: Record<string, string> = header === undefined ? {} : { "retry-after": header };
    const { world, engine } = await worldOf({ status: 429, json: {}, headers });
    await using _ = world;
    expect((await failureOf(engine)).retryAfterMs).toBe(retryAfterMs);
  });

  test("for want of memory is said as that", async () => {
    const json = { error: "model requires more system memory (9 GiB) than is available (2 GiB)" };
    const { world, engine } = await worldOf({ status: 500, json });
    await using _ = world;
    expect((await failureOf(engine)).code).toBe("out_of_memory");
  });

  test("never leaves with a key, an address or a path in it", () => {
    const key = new Secret("sk-very-secret-key");
    const text =
      "Cannot load /home/ada/models/llama.gguf (C:\\Users\\ada\\m.gguf) " +
      "from http://10.0.0.7:8000/x " +
      "at 192.168.1.4:9000\nwith sk-very-secret-key or Bearer abc or hf_abcdefghijkl";
    const line = publicSentence(text, key);
    expect(line).toBe("Cannot load … (…) from … at … with … or … or …");
    expect(publicSentence("x".repeat(1_000), null)).toHaveLength(240);
    expect(publicSentence("1/2 of a/b is and/or", null)).toBe("1/2 of a/b is and/or");
  });

  test("a page of a proxy is not repeated", async () => {
    const { world, engine } = await worldOf({ status: 400, text: "<html>no</html>" });
    await using _ = world;
    const failure = await failureOf(engine);
    expect(failure.message).toBe("Cannot answer: the model's server answered 400");
  });
});

describe("a server that breaks", () => {
  const first = Buffer.from(events([chunk("Hello")], false));
  const cases: [string, Reply, RegExp][] = [
    ["in the middle of an answer", { pieces: [first], after: "cut" }, /broke the connection/],
    ["off without an ending", { pieces: [first], after: "end" }, /ended in the middle/],
    [
      "off with [DONE] and no ending",
      { pieces: inPieces(events([chunk("Hello")])) },
      /ended in the middle/,
    ],
    [
      "off inside a character",
      { pieces: [first, Buffer.concat([Buffer.from("data: "), Buffer.from([0xf0, 0x9f])])] },
      /not UTF-8/,
    ],
    ["into garbage", { pieces: [Buffer.from("data: {not json\n\n")] }, /is not JSON/],
    ["into a list", { pieces: [Buffer.from("data: [1]\n\n")] }, /a chunk is no object/],
    ["into a number", { pieces: [Buffer.from("data: 7\n\n")] }, /a chunk is no object/],
    [
      "into a choice that nobody asked for",
      { pieces: inPieces(events([chunk("x", "stop", 1)])) },
      /choice 1 comes where 1 were asked for/,
    ],
    [
      "into a choice that cannot be",
      { pieces: inPieces(events([chunk("x", null, -1)])) },
      /an index is -1/,
    ],
    [
      "into an ending nobody knows",
      { pieces: inPieces(events([chunk("x", "abort")])) },
      /a choice ends with "abort"/,
    ],
    [
      "into text after the end",
      { pieces: inPieces(events([chunk("x", "stop"), chunk("y")])) },
      /output comes after the end/,
    ],
    [
      "into a second end",
      { pieces: inPieces(events([chunk("x", "stop"), chunk("", "stop")])) },
      /a choice ends twice/,
    ],
    [
      "into a text that is none",
      { pieces: inPieces(events([{ choices: [{ delta: { content: 7 } }] }])) },
      /a text is no text/,
    ],
    [
      "into a tool with an endless name",
      {
        pieces: inPieces(
          events([
            {
              choices: [
                { delta: { tool_calls: [{ index: 0, function: { name: "x".repeat(200) } }] } },
              ],
            },
          ]),
        ),
      },
      /a tool's name has over 128 characters/,
    ],
    [
      "with an error event",
      { pieces: inPieces(events([chunk("x"), { error: { message: "it died", code: 500 } }])) },
      /answered 500/,
    ],
    ["with Ollama's error", { pieces: inPieces(events([{ error: "it died" }])) }, /answered 500/],
    [
      "with a named error event",
      { pieces: [Buffer.from('event: error\ndata: {"code":503,"message":"x"}\n\n')] },
      /answered 503/,
    ],
    ["into a page", { text: "<html>", type: "text/html" }, /sent text\/html, not a stream/],
    ["into a redirect", { redirect: "http://127.0.0.1:1/v1" }, /answered 302/],
  ];

  test.each(cases)("%s has failed, and gave no short answer", async (_how, reply, reason) => {
    const { world, engine } = await worldOf(reply);
    await using _ = world;
    const failure = await failureOf(engine);
    expect(failure.code).toBe("engine_failed");
    expect(failure.message).toMatch(reason);
    expect(engine.stats().running).toBe(0);
  });

  test("after the last ending has answered", async () => {
    const text = events([chunk("Hello"), chunk("", "stop")], false);
    const { world, engine } = await worldOf({ pieces: [Buffer.from(text)], after: "cut" });
    await using _ = world;
    const { texts, end } = await collect(engine, chat("Hi"));
    expect(texts).toEqual(["Hello"]);
    expect(end.finishes).toEqual([{ index: 0, reason: "stop" }]);
  });

  test("and is gone is unreachable, healthy again when it comes back", async () => {
    const { world, engine } = await worldOf({ hang: true });
    await using _ = world;
    await world.server[Symbol.asyncDispose]();
    const failure = await failureOf(engine);
    expect(failure.message).toBe("Cannot answer: the model's server refuses the connection");
    expect(await engine.health(never)).toMatchObject({
      kind: "failing",
      reason: expect.stringMatching(/^Ollama at http:\S+ refuses the connection$/) as string,
    });
  });

  test("and hangs is unhealthy within a second", async () => {
    const { world, engine } = await worldOf({ hang: true });
    await using _ = world;
    world.server.routes["/api/tags"] = { hang: true };
    expect(await engine.health(never)).toMatchObject({ kind: "failing" });
  });

  test("a redirect is not followed, and the key goes nowhere else", async () => {
    await using other = await openWorld(ollamaRoutes());
    const { world, engine } = await worldOf({
      redirect: `${other.server.url}/v1/chat/completions`,
    });
    await using _ = world;
    await failureOf(engine);
    expect(other.server.asked).toEqual([]);
    expect(world.server.asked.at(-1)?.headers.authorization).toBe("Bearer sk-very-secret-key");
  });

  test("an engine that is closed ends what runs on it", async () => {
    const { world, engine } = await worldOf({ pieces: [first], after: "hang" });
    await using _ = world;
    const running = collect(engine, chat("Hi"), never, () => {
      void engine[Symbol.asyncDispose]();
    });
    expect((await running).end.finishes).toEqual([]);
    expect((await failureOf(engine)).message).toMatch(/no longer serves/);
  });
});
