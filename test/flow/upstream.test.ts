import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundledModelPath } from "../../worker-agent/models/model-source.ts";
import { readGguf } from "../../worker-agent/models/gguf.ts";
import { Flow } from "../helpers/flow-world.ts";
import { OpenAiServer } from "../helpers/openai-server.ts";
import { until } from "../helpers/until.ts";
import { chat, collect } from "../worker-agent/engine/collect.ts";
import { openTinyEngine, type TinyEngine } from "../worker-agent/engine/tiny-engine.ts";

/*
 * Consumer → edge → octo-worker --upstream → a server of its own process → llama.cpp: the octo-tiny
 * model, which the server runs and the worker only passes on.
 */

const story = "Tell me a long story about an octopus";
let tiny: TinyEngine;
let server: OpenAiServer;
let flow: Flow;

beforeAll(async () => {
  tiny = await openTinyEngine({ slots: 2 });
  server = new OpenAiServer("octo-tiny", tiny.engine, readGguf(bundledModelPath()));
  await server.start();
  const flags = ["--upstream", server.url, "--upstream-model", "octo-tiny=upstream-tiny"];
  flow = await Flow.start({ models: ["synthetic:scripted"], flags });
  await flow.untilListed(2);
});
afterAll(async () => {
  await flow?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await tiny?.[Symbol.asyncDispose]();
});

function ask(words: string, fields: Record<string, unknown> = {}) {
  return flow.client().chat.completions.create({
    model: "upstream-tiny",
    messages: [{ role: "user" as const, content: words }],
    temperature: 0,
    ...fields,
  });
}

describe("a model of another server", () => {
  test("is listed with the digest of the file that server runs", async () => {
    const models = await flow.models();
    const listed = models.find(({ id }) => id === "upstream-tiny");
    expect(JSON.stringify(listed)).toContain(tiny.engine.model.digest);
  });

  test("gives the same text as the engine itself, whole and streamed", async () => {
    const direct = await collect(tiny.engine, chat("What is this?", { temperature: 0 }));
    const whole = await ask("What is this?");
    expect(whole.choices[0]?.message.content).toBe(direct.texts[0]);
    expect(whole.choices[0]?.finish_reason).toBe("stop");
    expect(whole.usage).toMatchObject({
      prompt_tokens: direct.end.usage.prompt,
      completion_tokens: direct.end.usage.completion,
    });
    const stream = flow.client().chat.completions.stream({
      model: "upstream-tiny",
      messages: [{ role: "user", content: "What is this?" }],
      temperature: 0,
    });
    expect(await stream.finalContent()).toBe(direct.texts[0]);
  });

  test("keeps to a schema, as its server does", async () => {
    const schema = {
      type: "object",
      properties: { sea: { type: "string", enum: ["north", "south"] } },
      required: ["sea"],
      additionalProperties: false,
    };
    const json_schema = { name: "sea", strict: true, schema };
    const answer = await ask("Which sea?", {
      response_format: { type: "json_schema", json_schema },
    });
    expect(["north", "south"]).toContain(
      (JSON.parse(answer.choices[0]?.message.content ?? "") as { sea: string }).sea,
    );
  });

  test("refuses a prompt that is too long in the server's words", async () => {
    const failed = ask("word ".repeat(2_000));
    await expect(failed).rejects.toMatchObject({ status: 400, code: "context_length_exceeded" });
  });

  test("stops on its server when the consumer hangs up", async () => {
    const before = server.abandoned;
    server.paceMs = 25;
    let read = "";
    const stream = flow.client().chat.completions.stream({
      model: "upstream-tiny",
      messages: [{ role: "user", content: story }],
      temperature: 0,
    });
    stream.on("content", (piece) => (read += piece));
    const ended = stream.done().catch(() => "aborted");
    await until("the consumer reads", () => read.length > 0);
    stream.abort();
    expect(await ended).toBe("aborted");
    await until("the server's connection is closed", () => server.abandoned > before);
    await until("the server's engine is idle", () => tiny.engine.stats().running === 0);
    server.paceMs = 0;
    await flow.untilNothingHeld();
  });

  test("whose server is killed in the middle of an answer gives no short one, and serves again", async () => {
    server.pauseAfter = 8;
    const stream = flow.client().chat.completions.stream({
      model: "upstream-tiny",
      messages: [{ role: "user", content: story }],
      temperature: 0,
    });
    const finishes: (string | null)[] = [];
    stream.on("chunk", ({ choices }) => finishes.push(choices[0]?.finish_reason ?? null));
    const ended = stream.done().then(
      () => "whole",
      () => "failed",
    );
    await until("the answer waits in its middle", () => server.paused === 1);
    await server.kill();
    expect(await ended).toBe("failed");
    expect(finishes.filter((reason) => reason !== null && reason !== "error")).toEqual([]);
    await until("its listing is taken back", async () => {
      return (await flow.models()).every(({ id }) => id !== "upstream-tiny");
    });
    server.pauseAfter = Number.POSITIVE_INFINITY;
    await server.start();
    await flow.untilListed(2);
    await until("it is served again", async () => {
      const again = await ask("What is this?").catch(() => null);
      return again?.choices[0]?.finish_reason === "stop";
    });
    await flow.untilNothingHeld();
  });
});
