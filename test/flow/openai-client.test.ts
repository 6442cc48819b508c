import { Ajv2020 } from "ajv/dist/2020.js";
import type OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { modelSchema } from "../../edge/openapi/openai-answers.ts";
import {
  contractPath,
  ContractWatch,
  done,
  eventsOf,
  hasContract,
} from "../helpers/flow-contract.ts";
import { collect, Flow, script, scripted } from "../helpers/flow-world.ts";

const tiny = "octo-tiny";
const fox = [{ role: "user", content: "Tell me a story about a fox" }] as const;
const watch = new ContractWatch();
let flow: Flow;
let client: OpenAI;

beforeAll(async () => {
  flow = await Flow.start({ models: [tiny, `synthetic:${scripted}`] });
  client = flow.client({ fetch: watch.fetch });
});
afterAll(async () => flow?.[Symbol.asyncDispose]());

// Every answer and every event of this file is held against OpenAI's own published schemas.
afterEach(async () => {
  expect(await watch.complaints()).toEqual([]);
});
test.skipIf(hasContract)(`SKIPPED: OpenAI's schemas are not at ${contractPath}`, () => {});

describe("models", () => {
  test("the list has both models, with what the network offers of each", async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id }) => id)).toEqual([tiny, scripted]);
    const model = modelSchema.parse(data[0]);
    expect(model.octo).toMatchObject({
      architecture: "llama",
      quantization: "Q8_0",
      context_tokens: 512,
      regions: ["weur"],
      workers: 1,
      slots: 4,
    });
    expect(model.octo.output_micros_per_million).toBeGreaterThan(0);
    expect(model.octo.abilities).toContain("json_schema");
  });

  test("one is read by its name or by the digest of its weights", async () => {
    const byName = modelSchema.parse(await client.models.retrieve(tiny));
    const byDigest = await client.models.retrieve(byName.octo.digest);
    expect(byDigest).toMatchObject({ id: tiny, octo: { digest: byName.octo.digest } });
  });
});

describe("a chat", () => {
  test("is answered by the real engine, with usage that adds up", async () => {
    const messages = [{ role: "user", content: "What is this?" }] as const;
    const answer = await client.chat.completions.create({
      model: tiny,
      messages: [...messages],
      temperature: 0,
    });
    expect(answer.choices[0]?.message.content).toMatch(/CipherOcto|network/);
    expect(answer.choices[0]?.finish_reason).toBe("stop");
    const { usage } = answer;
    expect(usage?.prompt_tokens).toBeGreaterThan(0);
    expect(usage?.total_tokens).toBe((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0));
  });

  test("tells in its headers who answered and how long each stage took", async () => {
    const { response } = await client.chat.completions
      .create({ model: tiny, messages: [...fox], max_tokens: 3 })
      .withResponse();
    const model = modelSchema.parse(await client.models.retrieve(tiny));
    const header = (name: string) => response.headers.get(name);
    expect(header("x-octo-task")).toMatch(/^tsk_\w{22}$/);
    expect(flow.network.workers.map(({ id }) => id)).toContain(header("x-octo-worker"));
    expect(`sha256:${header("x-octo-model-digest")}`).toBe(model.octo.digest);
    expect(header("x-octo-region")).toBe("weur");
    expect(header("x-octo-attempts")).toBe("1");
    expect(header("x-request-id")).toMatch(/^req_\w{22}$/);
    expect(header("server-timing")).toMatch(
      /^auth;dur=\d+, route;dur=\d+, hold;dur=\d+, first_token;dur=\d+$/,
    );
    expect(header("access-control-allow-origin")).toBe("*");
    expect(header("access-control-expose-headers")).toContain("x-octo-task");
  });

  test("is streamed: the role first, then text, the reason it ended, usage and [DONE]", async () => {
    const stream = await client.chat.completions.create({
      model: tiny,
      messages: [...fox],
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await collect(stream);
    const deltas = chunks.flatMap(({ choices }) => choices);
    expect(deltas[0]?.delta.role).toBe("assistant");
    expect(deltas.slice(1).every(({ delta }) => delta.role === undefined)).toBe(true);
    expect(deltas.map((one) => one.delta.content ?? "").join("")).toMatch(/fox/);
    expect(deltas.length).toBeGreaterThan(3);
    expect(deltas.at(-1)?.finish_reason).toBe("stop");
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { total_tokens: expect.any(Number) },
    });
    const text = await watch.last.text;
    expect(text.endsWith(done)).toBe(true);
    expect(new Set(eventsOf(text).map(({ id }) => id)).size).toBe(1);
  });

  test("says the same streamed as whole, and again with the same seed", async () => {
    const request = { model: tiny, messages: [...fox], seed: 7, temperature: 0.9, max_tokens: 40 };
    const contents: (string | null | undefined)[] = [];
    for (let time = 0; time < 2; time++) {
      const answer = await client.chat.completions.create(request);
      contents.push(answer.choices[0]?.message.content);
    }
    const runner = client.chat.completions.stream(request);
    contents.push(await runner.finalContent());
    const other = await client.chat.completions.create({ ...request, seed: 8 });
    expect(new Set(contents).size).toBe(1);
    expect(other.choices[0]?.message.content).not.toBe(contents[0]);
  });

  test("gives as many choices as were asked for, streamed and not", async () => {
    const request = { model: tiny, messages: [...fox], n: 2, max_tokens: 12, seed: 1 };
    const answer = await client.chat.completions.create(request);
    expect(answer.choices.map(({ index }) => index)).toEqual([0, 1]);
    const [first, second] = answer.choices.map(({ message }) => message.content);
    expect(first).not.toBe(second);
    const final = await client.chat.completions.stream(request).finalChatCompletion();
    expect(final.choices.map(({ message }) => message.content)).toEqual([first, second]);
  });

  test("ends before a stop sequence, and by length at max_tokens", async () => {
    const base = { model: scripted, messages: [user(script('text="one two three four"'))] };
    const stopped = await client.chat.completions.create({ ...base, stop: [" three"] });
    expect(stopped.choices[0]).toMatchObject({
      message: { content: "one two" },
      finish_reason: "stop",
    });
    for (const limit of [{ max_tokens: 2 }, { max_completion_tokens: 2 }]) {
      const cut = await client.chat.completions.create({ ...base, ...limit });
      expect(cut.choices[0]?.finish_reason).toBe("length");
      expect(cut.usage?.completion_tokens).toBe(2);
    }
    const real = await client.chat.completions.create({
      model: tiny,
      messages: [...fox],
      max_tokens: 5,
    });
    expect(real.choices[0]?.finish_reason).toBe("length");
    expect(real.usage?.completion_tokens).toBe(5);
  });

  test("gives the log probability of every token, with the alternatives asked for", async () => {
    const answer = await client.chat.completions.create({
      model: tiny,
      messages: [...fox],
      max_tokens: 4,
      temperature: 0,
      logprobs: true,
      top_logprobs: 3,
    });
    const content = answer.choices[0]?.logprobs?.content ?? [];
    expect(content).toHaveLength(4);
    expect(content.map(({ token }) => token).join("")).toBe(answer.choices[0]?.message.content);
    for (const entry of content) {
      expect(entry.top_logprobs).toHaveLength(3);
      expect(entry.logprob).toBeLessThanOrEqual(0);
    }
  });

  test("takes message content as parts, and parameters that ask for nothing", async () => {
    const parts = [
      { type: "text", text: "What is " },
      { type: "text", text: "this?" },
    ] as const;
    const answer = await client.chat.completions.create({
      model: tiny,
      messages: [
        { role: "system", content: [{ type: "text", text: "Be brief." }] },
        { role: "user", content: [...parts] },
      ],
      max_tokens: 4,
      user: "someone",
      metadata: { team: "a" },
      store: false,
      service_tier: "auto",
      modalities: ["text"],
      frequency_penalty: 0.5,
      presence_penalty: 0.5,
      logit_bias: { "5": -100 },
      top_p: 0.9,
    });
    expect(answer.choices[0]?.finish_reason).toBe("length");
  });
});

function user(content: string) {
  return { role: "user", content } as const;
}

describe("structured answers", () => {
  const schema = {
    type: "object",
    properties: {
      city: { type: "string", maxLength: 12 },
      population: { type: "integer", minimum: 0, maximum: 99_999_999 },
      isCapital: { type: "boolean" },
    },
    required: ["city", "population", "isCapital"],
    additionalProperties: false,
  } as const;
  const format = {
    type: "json_schema",
    json_schema: { name: "place", schema, strict: true },
  } as const;

  test("json_object gives one JSON object", async () => {
    const answer = await client.chat.completions.create({
      model: tiny,
      messages: [user("Give me a small JSON object")],
      response_format: { type: "json_object" },
      temperature: 0,
      max_tokens: 200,
    });
    const value: unknown = JSON.parse(answer.choices[0]?.message.content ?? "");
    expect(value).toBeTypeOf("object");
  });

  test.each([tiny, scripted])("json_schema holds %s to the schema", async (model) => {
    const answer = await client.chat.completions.parse({
      model,
      messages: [user("Name a city")],
      response_format: format,
      max_tokens: 200,
      seed: 3,
    });
    expect(answer.choices[0]?.finish_reason).toBe("stop");
    const validate = new Ajv2020().compile(schema);
    expect(validate(answer.choices[0]?.message.parsed), JSON.stringify(validate.errors)).toBe(true);
  });

  test("a streamed answer fits the schema as well", async () => {
    const stream = client.chat.completions.stream({
      model: tiny,
      messages: [user("Name a city")],
      response_format: format,
      max_tokens: 200,
      seed: 4,
    });
    const value: unknown = JSON.parse((await stream.finalContent()) ?? "");
    expect(new Ajv2020().validate(schema, value)).toBe(true);
  });
});

describe("tools", () => {
  const tools = [
    {
      type: "function",
      function: { name: "weather", parameters: { type: "object", properties: {} } },
    },
  ] as const;
  const prompt = script(`tool="weather" args='{"city":"Rome"}'`);
  const request = { model: scripted, messages: [user(prompt)], tools: [...tools] };
  const call = { type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } };

  test("a call comes whole", async () => {
    const answer = await client.chat.completions.create(request);
    expect(answer.choices[0]?.finish_reason).toBe("tool_calls");
    expect(answer.choices[0]?.message).toMatchObject({ content: null, tool_calls: [call] });
  });

  test("a call comes in a stream", async () => {
    const final = await client.chat.completions.stream(request).finalChatCompletion();
    expect(final.choices[0]?.finish_reason).toBe("tool_calls");
    expect(final.choices[0]?.message.tool_calls).toMatchObject([call]);
  });

  const forced = {
    model: tiny,
    messages: [user("What is the weather in Rome?")],
    tools: [
      {
        type: "function" as const,
        function: {
          name: "weather",
          parameters: {
            type: "object",
            properties: { city: { type: "string", enum: ["Rome", "Oslo"] } },
            required: ["city"],
            additionalProperties: false,
          },
        },
      },
    ],
    tool_choice: { type: "function" as const, function: { name: "weather" } },
    temperature: 0,
    max_tokens: 64,
  };

  test("the real engine calls the function that it must, with arguments of its schema", async () => {
    const answer = await client.chat.completions.create(forced);
    const [choice] = answer.choices;
    expect(choice?.finish_reason).toBe("tool_calls");
    const [made] = choice?.message.tool_calls ?? [];
    const called = made?.type === "function" ? made.function : null;
    expect(called?.name).toBe("weather");
    expect(["Rome", "Oslo"]).toContain(JSON.parse(called?.arguments ?? "{}").city);

    const stream = client.chat.completions.stream({ ...forced, stream: true });
    const final = (await stream.finalChatCompletion()).choices[0];
    expect(final?.finish_reason).toBe("tool_calls");
    expect(final?.message.tool_calls?.[0]).toMatchObject({ function: called });
  });

  test("a tool's result goes back into the conversation", async () => {
    const asked = await client.chat.completions.create(request);
    const message = asked.choices[0]?.message;
    if (message === undefined) throw new Error("the first answer has a message");
    const id = message.tool_calls?.[0]?.id ?? "";
    const answer = await client.chat.completions.create({
      ...request,
      messages: [
        user("How is it in Rome?"),
        message,
        { role: "tool", tool_call_id: id, content: "Sunny" },
        user(script('text="It is sunny"')),
      ],
    });
    expect(answer.choices[0]?.message.content).toBe("It is sunny");
  });
});

describe("a plain completion", () => {
  test("continues a text, in sixteen tokens unless told otherwise", async () => {
    const answer = await client.completions.create({ model: tiny, prompt: "Once upon a time" });
    expect(answer.object).toBe("text_completion");
    expect(answer.choices[0]?.text).not.toBe("");
    expect(answer.usage?.completion_tokens).toBeLessThanOrEqual(16);
  });

  test("is streamed as well, and ends with its usage", async () => {
    const stream = await client.completions.create({
      model: scripted,
      prompt: "Once upon a time",
      max_tokens: 8,
      logprobs: 2,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await collect(stream);
    expect(chunks.flatMap(({ choices }) => choices).at(-1)?.finish_reason).toBe("length");
    expect(chunks.at(-1)?.usage?.completion_tokens).toBe(8);
    expect((await watch.last.text).endsWith(done)).toBe(true);
  });
});

test("aborting in mid-stream stops the engine, and what was delivered is paid", async () => {
  const { data: stream, response } = await client.chat.completions
    .create({
      model: scripted,
      messages: [user(script("tokens=5000 rate=100"))],
      stream: true,
    })
    .withResponse();
  await flow.untilFreeSlots(3);
  for await (const chunk of stream) if ((chunk.choices[0]?.delta.content ?? "") !== "") break;
  const taskId = response.headers.get("x-octo-task") ?? "";
  expect(await flow.untilWorkerEnds(taskId)).toBe("Task cancelled");
  await flow.untilFreeSlots(4);
  const task = await flow.untilTask(taskId);
  expect(task).toMatchObject({ state: "settled", finish: "cancelled" });
  expect(task.completion_tokens).toBeGreaterThan(0);
  expect(task.completion_tokens).toBeLessThan(5000);
});
