import OpenAI, {
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
} from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { contractPath, ContractWatch, hasContract } from "../helpers/flow-contract.ts";
import { Flow, script, scripted } from "../helpers/flow-world.ts";

const tiny = "octo-tiny";
const watch = new ContractWatch();
const hello = [{ role: "user", content: "Hello" } as const];
const pixel = { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } } as const;
const picture = [{ role: "user", content: [pixel] } as const];
/** Lasts until its client leaves; it keeps writing, as only a write finds out that nobody reads. */
const steady = script("tokens=8000 rate=20");
let flow: Flow;
let client: OpenAI;

beforeAll(async () => {
  const vars = { OCTO_QUEUE_MS: "200" };
  flow = await Flow.start({
    models: [tiny, `synthetic:${scripted}`],
    flags: ["--slots", "2"],
    vars,
  });
  client = flow.client({ fetch: watch.fetch });
});
afterAll(async () => flow?.[Symbol.asyncDispose]());

// Every refusal of this file is held against OpenAI's own published schemas.
afterEach(async () => {
  expect(await watch.complaints()).toEqual([]);
});
test.skipIf(hasContract)(`SKIPPED: OpenAI's schemas are not at ${contractPath}`, () => {});

/** What the client throws for a request; each refusal names the request it was for. */
async function refusal(asking: Promise<unknown>) {
  const error: unknown = await asking.then(
    () => new Error("it was answered"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof APIError)) throw error;
  expect(error.requestID).toMatch(/^req_\w{22}$/);
  return error;
}

function ask(body: Record<string, unknown>, by: OpenAI = client): Promise<unknown> {
  const request = { model: tiny, messages: hello, ...body };
  return by.chat.completions.create(request as OpenAI.ChatCompletionCreateParamsNonStreaming);
}

describe("who may ask", () => {
  test("a wrong, a malformed and a missing key are an AuthenticationError", async () => {
    const { apiKey } = flow.network.consumer;
    const mistyped = apiKey.slice(0, -1) + (apiKey.endsWith("A") ? "B" : "A");
    for (const key of [mistyped, "sk-something", apiKey.replace("_dev_", "_live_")]) {
      const error = await refusal(ask({}, flow.client({ fetch: watch.fetch, apiKey: key })));
      expect(error).toBeInstanceOf(AuthenticationError);
      expect(error).toMatchObject({ status: 401, code: "invalid_api_key" });
    }
    const bare = await watch.fetch(`${flow.url}/v1/models`);
    expect(bare.status).toBe(401);
  });

  test("a revoked key is refused at once", async () => {
    const consumer = await flow.newConsumer(1_000_000);
    const revoked = flow.client({ fetch: watch.fetch, apiKey: consumer.apiKey });
    await ask({ max_tokens: 1 }, revoked);
    const keyId = consumer.apiKey.split("_")[3]?.slice(0, 8) ?? "";
    const response = await flow.fetch(`/api/v1/keys/${keyId}`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${flow.network.adminKey}` },
    });
    expect(response.status).toBe(200);
    expect(await refusal(ask({}, revoked))).toBeInstanceOf(AuthenticationError);
  });

  test("an account without the credit it takes gets 402, and is told what to do", async () => {
    const poor = await flow.newConsumer(1);
    const error = await refusal(ask({}, flow.client({ fetch: watch.fetch, apiKey: poor.apiKey })));
    expect(error).toMatchObject({ status: 402, code: "insufficient_quota" });
    expect(error.message).toMatch(/1 are available; add credit, or send a smaller max_comp/);
  });

  test("an account at its limit of tasks gets a RateLimitError that says when to come back", async () => {
    const busy = await flow.newConsumer(1_000_000, 1);
    const own = flow.client({ fetch: watch.fetch, apiKey: busy.apiKey });
    const first = await own.chat.completions.create({
      model: scripted,
      messages: [{ role: "user", content: steady }],
      stream: true,
    });
    const error = await refusal(ask({}, own));
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error.code).toBe("rate_limit_exceeded");
    expect(Number(error.headers?.get("retry-after"))).toBeGreaterThan(0);
    first.controller.abort();
    await flow.untilFreeSlots(2);
  });
});

describe("what cannot be found", () => {
  test("an unknown model is a NotFoundError that names what is offered", async () => {
    const error = await refusal(ask({ model: "gpt-9" }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: "model_not_found", param: "model" });
    expect(error.message).toContain(
      `gpt-9 is not offered; the network offers ${tiny}, ${scripted}`,
    );
    expect(await refusal(client.models.retrieve("gpt-9"))).toBeInstanceOf(NotFoundError);
  });

  test.each([
    ["modalities", "audio_output", { modalities: ["audio"] }],
    ["messages", "vision", { messages: picture }],
  ])("what %s asks for is, where nobody offers %s", async (param, ability, body) => {
    const error = await refusal(ask(body));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: "model_not_found", param });
    expect(error.message).toContain(
      `Nobody offers ${ability} just now; the network offers chat, choices, completions, `,
    );
  });

  test("an unknown route is 404 and a wrong method 405, in the same shape", async () => {
    const unknown = await watch.fetch(`${flow.url}/v1/moderations`, { method: "POST" });
    expect(unknown.status).toBe(404);
    const wrong = await watch.fetch(`${flow.url}/v1/chat/completions`);
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
  });
});

describe("a parameter that cannot be honoured is a BadRequestError with its name", () => {
  test.each<[string, Record<string, unknown>, string]>([
    ["temperature", { temperature: 3 }, "invalid_request"],
    ["top_p", { top_p: -0.1 }, "invalid_request"],
    ["max_tokens", { max_tokens: 0 }, "invalid_request"],
    ["max_completion_tokens", { max_completion_tokens: -5 }, "invalid_request"],
    ["max_completion_tokens", { max_completion_tokens: 513 }, "context_length_exceeded"],
    ["n", { n: 1e9 }, "invalid_request"],
    ["seed", { seed: 1.5 }, "invalid_request"],
    ["stop", { stop: ["a", "b", "c", "d", "e"] }, "invalid_request"],
    ["frequency_penalty", { frequency_penalty: 2.1 }, "invalid_request"],
    ["presence_penalty", { presence_penalty: "high" }, "invalid_request"],
    ["logit_bias.abc", { logit_bias: { abc: 1 } }, "invalid_request"],
    ["stream", { stream: "yes" }, "invalid_request"],
    ["stream_options", { stream_options: { include_usage: true } }, "unsupported_parameter"],
    ["messages", { messages: [] }, "invalid_request"],
    ["messages[0].role", { messages: [{ role: "king", content: "" }] }, "invalid_request"],
    ["messages[0].content", { messages: [{ role: "user", content: 5 }] }, "invalid_request"],
    ["response_format.type", { response_format: { type: "xml" } }, "invalid_request"],
    ["tool_choice", { tool_choice: "required" }, "unsupported_parameter"],
    ["parallel_tool_calls", { parallel_tool_calls: true }, "unsupported_parameter"],
    ["top_logprobs", { top_logprobs: 2 }, "unsupported_parameter"],
    ["top_logprobs", { logprobs: true, top_logprobs: 21 }, "invalid_request"],
    ["store", { store: true }, "unsupported_parameter"],
    ["service_tier", { service_tier: "priority" }, "unsupported_parameter"],
    ["functions", { functions: [{ name: "f" }] }, "unsupported_parameter"],
    ["reasoning_effort", { reasoning_effort: "high" }, "unsupported_parameter"],
    ["verbosity", { verbosity: "low" }, "unsupported_parameter"],
    ["web_search_options", { web_search_options: {} }, "unsupported_parameter"],
    ["mirostat", { mirostat: 2 }, "unsupported_parameter"],
  ])("%s in %j", async (param, body, code) => {
    const error = await refusal(ask(body));
    expect(error).toBeInstanceOf(BadRequestError);
    expect({ param: error.param, code: error.code }).toEqual({ param, code });
  });

  test("a plain completion's too", async () => {
    for (const [param, body] of [
      ["echo", { echo: true }],
      ["best_of", { best_of: 2 }],
      ["suffix", { suffix: "the end" }],
      ["prompt", { prompt: [1, 2, 3] }],
      ["logprobs", { logprobs: 6 }],
    ] as const) {
      const request = { model: tiny, prompt: "Once", ...body };
      const asking = client.completions.create(
        request as OpenAI.CompletionCreateParamsNonStreaming,
      );
      const error = await refusal(asking);
      expect(error).toBeInstanceOf(BadRequestError);
      expect(error.param?.split(/[[.]/)[0]).toBe(param);
    }
  });

  test("a prompt that is longer than the context is refused by the engine's own count", async () => {
    const long = [{ role: "user", content: "fox ".repeat(600) }];
    const error = await refusal(ask({ messages: long, max_tokens: 5 }));
    expect(error).toMatchObject({ status: 400, code: "context_length_exceeded" });
    expect(error.message).toMatch(/512/);
  });
});

describe("a worker that cannot", () => {
  test("an engine that fails before its first token is an InternalServerError", async () => {
    const messages = [{ role: "user", content: script("fail=engine_failed") }];
    const error = await refusal(ask({ model: scripted, messages }));
    expect(error).toBeInstanceOf(InternalServerError);
    expect(error.headers?.get("x-should-retry")).toBe("true");
  });

  test("an engine that fails in mid-stream makes the client throw, after what was delivered", async () => {
    const stream = await client.chat.completions.create({
      model: scripted,
      messages: [{ role: "user", content: script("tokens=9 burst=1 fail=engine_failed after=3") }],
      stream: true,
    });
    let text = "";
    const reading = (async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    })();
    await expect(reading).rejects.toMatchObject({ code: "worker_failed" });
    expect(text).toBe("word1 word2 word3");
  });

  test("the client tries again by itself at 429, and succeeds once a worker is free", async () => {
    const holders = await Promise.all(
      [1, 2].map(() =>
        client.chat.completions.create({
          model: scripted,
          messages: [{ role: "user", content: steady }],
          stream: true,
        }),
      ),
    );
    const statuses: number[] = [];
    const patient = flow.client({
      maxRetries: 3,
      async fetch(input, init) {
        const response = await watch.fetch(input, init);
        statuses.push(response.status);
        if (response.status === 429) {
          expect(response.headers.get("retry-after")).toBe("2");
          for (const { controller } of holders) controller.abort();
        }
        return response;
      },
    });
    const answer = await patient.chat.completions.create({
      model: scripted,
      messages: [{ role: "user", content: script('text="at last"') }],
    });
    expect(answer.choices[0]?.message.content).toBe("at last");
    expect(statuses).toEqual([429, 200]);
  });
});

test("a browser may ask from any page", async () => {
  const response = await fetch(`${flow.url}/v1/chat/completions`, {
    method: "OPTIONS",
    headers: {
      origin: "https://page.test",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization, content-type, x-stainless-lang",
    },
  });
  expect(response.status).toBe(204);
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
  expect(response.headers.get("access-control-allow-methods")).toContain("POST");
  expect(response.headers.get("access-control-allow-headers")).toContain("x-stainless-lang");
  const refused = await fetch(`${flow.url}/v1/models`, {
    headers: { origin: "https://page.test" },
  });
  expect(refused.headers.get("access-control-allow-origin")).toBe("*");
});
