import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, Output, streamText, tool, type ToolSet } from "ai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { contractPath, ContractWatch, hasContract } from "../helpers/flow-contract.ts";
import { collect, Flow, script, scripted } from "../helpers/flow-world.ts";

const tiny = "octo-tiny";
const watch = new ContractWatch();
let flow: Flow;

beforeAll(async () => {
  // A failed task waits so long for another worker, and here there is none.
  const vars = { OCTO_QUEUE_MS: "200" };
  flow = await Flow.start({ models: [tiny, `synthetic:${scripted}`], vars });
});
afterAll(async () => flow?.[Symbol.asyncDispose]());
afterEach(async () => {
  expect(await watch.complaints()).toEqual([]);
});
test.skipIf(hasContract)(`SKIPPED: OpenAI's schemas are not at ${contractPath}`, () => {});

/** The provider as its documentation says to set it up. */
function provider(apiKey = flow.network.consumer.apiKey) {
  return createOpenAICompatible({
    name: "cipherocto",
    baseURL: `${flow.url}/v1`,
    apiKey,
    fetch: watch.fetch,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
}

describe("text", () => {
  test("is generated whole, with usage and the reason it ended", async () => {
    const { text, usage, finishReason, response } = await generateText({
      model: provider()(tiny),
      prompt: "What is this?",
      temperature: 0,
    });
    expect(text).toMatch(/CipherOcto|network/);
    expect(finishReason).toBe("stop");
    expect(usage.totalTokens).toBe((usage.inputTokens ?? 0) + (usage.outputTokens ?? 0));
    expect(response.headers?.["x-octo-task"]).toMatch(/^tsk_/);
  });

  test("is streamed, and says the same with the same seed", async () => {
    const question = {
      model: provider()(tiny),
      prompt: "Tell me a story about a fox",
      seed: 5,
      maxOutputTokens: 40,
    };
    const { textStream, usage, finishReason } = streamText(question);
    const pieces = await collect(textStream);
    expect(pieces.length).toBeGreaterThan(1);
    expect(await finishReason).toBe("length");
    expect((await usage).outputTokens).toBe(40);
    expect((await generateText(question)).text).toBe(pieces.join(""));
  });

  test("ends before a stop sequence", async () => {
    const { text, finishReason } = await generateText({
      model: provider()(scripted),
      prompt: script('text="one two three"'),
      stopSequences: [" two"],
    });
    expect([text, finishReason]).toEqual(["one", "stop"]);
  });
});

test("aborting a stream stops the engine", async () => {
  const leave = new AbortController();
  const { textStream, response } = streamText({
    model: provider()(scripted),
    prompt: script("tokens=5000 rate=100"),
    abortSignal: leave.signal,
  });
  // Rejected by the abort below, which is what the caller asked for.
  const ended = Promise.resolve(response).catch(() => null);
  for await (const piece of textStream) if (piece !== "") leave.abort();
  await ended;
  const taskId = watch.last.response.headers.get("x-octo-task") ?? "";
  expect(await flow.untilWorkerEnds(taskId)).toBe("Task cancelled");
  expect((await flow.untilTask(taskId)).finish).toBe("cancelled");
});

describe("objects", () => {
  const person = z.object({ name: z.string().max(12), age: z.number().int().min(0).max(150) });

  test.each([tiny, scripted])("from %s fit their schema", async (model) => {
    const { output } = await generateText({
      model: provider()(model),
      prompt: "Describe a person",
      output: Output.object({ schema: person }),
      maxOutputTokens: 200,
      seed: 2,
    });
    expect(person.parse(output)).toEqual(output);
  });

  test("come in pieces as well", async () => {
    const { partialOutputStream, output } = streamText({
      model: provider()(tiny),
      prompt: "Describe a person",
      output: Output.object({ schema: person }),
      maxOutputTokens: 200,
      seed: 2,
    });
    expect((await collect(partialOutputStream)).length).toBeGreaterThan(0);
    expect(person.safeParse(await output).success).toBe(true);
  });
});

test("a tool is called with its arguments, streamed and not", async () => {
  // Through unknown: the SDK's types do not hold under exactOptionalPropertyTypes.
  const weather: unknown = tool({
    inputSchema: z.object({ city: z.string() }),
  });
  const question = {
    model: provider()(scripted),
    prompt: script(`tool="weather" args='{"city":"Rome"}'`),
    tools: { weather } as ToolSet,
  };
  const call = { toolName: "weather", input: { city: "Rome" } };
  expect((await generateText(question)).toolCalls).toMatchObject([call]);
  expect(await streamText(question).toolCalls).toMatchObject([call]);
});

describe("errors", () => {
  /** What the SDK throws for one question to `model`, tried once. */
  async function refusal(model: string, prompt = "Hello", apiKey?: string): Promise<APICallError> {
    const asking = generateText({ model: provider(apiKey)(model), prompt, maxRetries: 0 });
    const error: unknown = await asking.catch((reason: unknown) => reason);
    if (!APICallError.isInstance(error)) throw new Error(`not an APICallError: ${String(error)}`);
    return error;
  }

  test("carry our sentence and our status", async () => {
    const unknown = await refusal("gpt-9");
    expect([unknown.statusCode, unknown.isRetryable]).toEqual([404, false]);
    expect(unknown.message).toContain(`the network offers ${tiny}, ${scripted}`);
    const stranger = await refusal(tiny, "Hello", "octo_sk_wrong");
    expect(stranger.statusCode).toBe(401);
    const poor = await flow.newConsumer(1);
    const broke = await refusal(tiny, "Hello", poor.apiKey);
    expect([broke.statusCode, broke.isRetryable]).toEqual([402, false]);
    expect(broke.message).toContain("add credit");
  });

  test("of a worker that fails are worth another try", async () => {
    const failed = await refusal(scripted, script("fail=engine_failed"));
    expect(failed.statusCode).toBeGreaterThanOrEqual(500);
    expect(failed.isRetryable).toBe(true);
  });

  test("in mid-stream reach the reader, after what was delivered", async () => {
    const errors: unknown[] = [];
    const { fullStream } = streamText({
      model: provider()(scripted),
      prompt: script("tokens=9 burst=1 fail=engine_failed after=3"),
      onError: ({ error }) => {
        errors.push(error);
      },
    });
    const parts = await collect(fullStream);
    const text = parts.map((part) => (part.type === "text-delta" ? part.text : "")).join("");
    expect(text).toBe("word1 word2 word3");
    expect(JSON.stringify(errors)).toContain("fails after 3 tokens");
    expect(parts.some(({ type }) => type === "error")).toBe(true);
  });
});
