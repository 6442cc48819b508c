import type OpenAI from "openai";
import { APIError, BadRequestError, NotFoundError, toFile } from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  classificationAnswerSchema,
  embeddingAnswerSchema,
  imageAnswerSchema,
  rerankAnswerSchema,
  transcriptionAnswerSchema,
} from "../../edge/openapi/result-answers.ts";
import { imageSize } from "../../edge/inference/results/image-size.ts";
import { contractPath, ContractWatch, hasContract } from "../helpers/flow-contract.ts";
import { sentHash, verifiedReceipt } from "../helpers/flow-ledger.ts";
import { RawClient } from "../helpers/flow-raw-client.ts";
import { Flow, script, scripted } from "../helpers/flow-world.ts";
import { until } from "../helpers/until.ts";
import { wavFile } from "../helpers/wav-file.ts";

/** A model that answers documents, beside one that only writes text. */
const documents = "documents";
const watch = new ContractWatch();
let flow: Flow;
let client: OpenAI;

beforeAll(async () => {
  flow = await Flow.start({
    models: [`synthetic:${documents}+documents`, `synthetic:${scripted}`],
  });
  client = flow.client({ fetch: watch.fetch });
});
afterAll(async () => flow?.[Symbol.asyncDispose]());

// Every answer and refusal of this file is held against OpenAI's own published schemas.
afterEach(async () => {
  expect(await watch.complaints()).toEqual([]);
});
test.skipIf(hasContract)(`SKIPPED: OpenAI's schemas are not at ${contractPath}`, () => {});

/** What the client throws for a request. */
async function refusal(asking: Promise<unknown>): Promise<APIError> {
  const error: unknown = await asking.then(
    () => "nothing was refused",
    (thrown: unknown) => thrown,
  );
  if (error instanceof APIError) return error;
  throw new Error(`no refusal of the edge's: ${String(error)}`);
}

/** Asks a route that OpenAI has no client for. */
async function post(path: string, body: Record<string, unknown>) {
  const response = await flow.fetch(path, { method: "POST", body: JSON.stringify(body) });
  return { status: response.status, response, json: (await response.json()) as unknown };
}

/** The task behind the last answer: settled, and with a receipt whose signatures hold. */
async function lastTask() {
  const id = watch.last.response.headers.get("x-octo-task");
  const task = await flow.untilTask(id ?? "");
  const [shown] = task.receipts;
  if (shown === undefined) throw new Error(`${task.id} has no receipt`);
  return { task, receipt: await verifiedReceipt(shown) };
}

describe("embeddings", () => {
  test("of a text come as a vector of length one, the same every time", async () => {
    const request = { model: documents, input: "the fox", encoding_format: "float" } as const;
    const first = await client.embeddings.create(request);
    const second = await client.embeddings.create(request);
    expect(embeddingAnswerSchema.parse(first)).toEqual(first);
    const vector = first.data[0]?.embedding ?? [];
    expect(vector).toHaveLength(32);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
    expect(second.data).toEqual(first.data);
    expect(first.usage).toEqual({ prompt_tokens: 2, total_tokens: 2 });
  });

  test("as base64, which the client asks for by itself, are the same floats", async () => {
    const asked = { model: documents, input: "the fox" };
    const packed = await client.embeddings.create(asked);
    const [sent] = embeddingAnswerSchema.parse(JSON.parse(await watch.last.text)).data;
    const plain = await client.embeddings.create({ ...asked, encoding_format: "float" });
    expect(typeof sent?.embedding).toBe("string");
    expect(packed.data[0]?.embedding).toEqual(plain.data[0]?.embedding);
  });

  test("of 2048 texts keep their order, and are paid by the worker's count", async () => {
    const input = Array.from({ length: 2048 }, (_, index) => `text number ${index}`);
    const answer = await client.embeddings.create({ model: documents, input });
    expect(answer.data.map(({ index }) => index)).toEqual([...input.keys()]);
    const alone = await client.embeddings.create({ model: documents, input: input[1999] ?? "" });
    expect(answer.data[1999]?.embedding).toEqual(alone.data[0]?.embedding);
    expect(answer.usage.prompt_tokens).toBe(3 * 2048);
  });

  test("are settled under a receipt over the request that was sent", async () => {
    const asked = { model: documents, input: ["a", "b"], user: "someone" };
    await client.embeddings.create(asked);
    const { task, receipt } = await lastTask();
    const { model, input } = asked;
    expect(receipt.prompt_hash).toBe(await sentHash({ model, input }));
    expect(receipt).toMatchObject({ outcome: "complete", completion_tokens: 0, prompt_tokens: 2 });
    expect(task).toMatchObject({ kind: "embedding", state: "settled", completion_tokens: 0 });
  });

  test("of another length are refused where the model has only one", async () => {
    const error = await refusal(
      client.embeddings.create({ model: documents, input: "a", dimensions: 8 }),
    );
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ code: "unsupported_parameter", param: "dimensions" });
  });

  test.each<[string, Record<string, unknown>]>([
    ["input[0]", { input: [1, 2, 3] }],
    ["input", { input: "" }],
    ["input", { input: [] }],
    ["input", { input: Array.from({ length: 2049 }, () => "a") }],
    ["input[1]", { input: ["a", ""] }],
    ["encoding_format", { input: "a", encoding_format: "hex" }],
  ])("with a wrong %s are refused by its name", async (param, body) => {
    const { status, json } = await post("/v1/embeddings", { model: documents, ...body });
    expect(status).toBe(400);
    expect(json).toMatchObject({ error: { code: "invalid_request", param } });
  });
});

describe("ranking", () => {
  const asked = {
    model: documents,
    query: "red fox",
    documents: ["a dog", { text: "The red fox." }, "a fox"],
  };

  test("puts the document that answers best first", async () => {
    const { json } = await post("/v1/rerank", asked);
    const answer = rerankAnswerSchema.parse(json);
    expect(answer).toEqual(json);
    expect(answer.results).toEqual([
      { index: 1, relevance_score: 1 },
      { index: 2, relevance_score: 0.5 },
      { index: 0, relevance_score: 0 },
    ]);
    expect(answer.usage.total_tokens).toBeGreaterThan(0);
  });

  test("gives so many of the best, with their texts, where that is asked for", async () => {
    const { json } = await post("/v1/rerank", { ...asked, top_n: 1, return_documents: true });
    expect(rerankAnswerSchema.parse(json).results).toEqual([
      { index: 1, relevance_score: 1, document: { text: "The red fox." } },
    ]);
  });
});

test("texts are labelled, the likeliest label first", async () => {
  const { json } = await post("/v1/classify", { model: documents, input: ["good", "bad"] });
  const answer = classificationAnswerSchema.parse(json);
  expect(answer).toEqual(json);
  expect(answer.data.map(({ index }) => index)).toEqual([0, 1]);
  for (const { label, probs, labels } of answer.data) {
    expect(label).toBe(labels[0]);
    expect(probs).toEqual(probs.toSorted((a, b) => b - a));
    expect(probs.reduce((sum, prob) => sum + prob, 0)).toBeCloseTo(1, 9);
  }
});

describe("a transcription", () => {
  const recording = () => toFile(wavFile(6), "my recording.wav", { type: "audio/wav" });

  test("of a file is its text, with usage", async () => {
    const answer = await client.audio.transcriptions.create({
      model: documents,
      file: await recording(),
      language: "en",
    });
    expect(transcriptionAnswerSchema.parse(answer)).toEqual(answer);
    expect(answer.text).toMatch(/^word1 word2 .* word12$/);
    const { task, receipt } = await lastTask();
    expect(task).toMatchObject({ kind: "transcription", state: "settled" });
    expect(receipt).toMatchObject({ prompt_tokens: 12, completion_tokens: 12 });
  });

  test("with times has segments, and words where they are asked for", async () => {
    const answer = await client.audio.transcriptions.create({
      model: documents,
      file: await recording(),
      response_format: "verbose_json",
      timestamp_granularities: ["word", "segment"],
    });
    expect(transcriptionAnswerSchema.parse(answer)).toEqual(answer);
    expect(answer).toMatchObject({ task: "transcribe", duration: 6, language: "en" });
    expect(answer.segments).toHaveLength(2);
    expect(answer.words?.[0]).toEqual({ start: 0, end: 0.5, word: "word1" });
    expect(answer.words).toHaveLength(12);
  });

  test.each([
    ["text", "text/plain", /^word1 .* word12\n$/],
    ["srt", "text/plain", /^1\n00:00:00,000 --> 00:00:05,000\nword1 .* word10\n\n2\n/],
    ["vtt", "text/vtt", /^WEBVTT\n\n00:00:00\.000 --> 00:00:05\.000\nword1 .* word10\n\n00:/],
  ] as const)("as %s is %s", async (format, type, form) => {
    const answer = await client.audio.transcriptions.create({
      model: documents,
      file: await recording(),
      response_format: format,
    });
    expect(watch.last.response.headers.get("content-type")).toBe(`${type}; charset=utf-8`);
    expect(String(answer)).toMatch(form);
  });

  test("under an idempotency key is made once, whatever the form's boundary", async () => {
    const ids: (string | null)[] = [];
    for (let time = 0; time < 2; time++) {
      await client.audio.transcriptions.create(
        { model: documents, file: await recording() },
        { headers: { "idempotency-key": "the-same-recording" } },
      );
      ids.push(watch.last.response.headers.get("x-octo-task"));
    }
    expect(watch.last.response.headers.get("idempotency-replayed")).toBe("true");
    expect(new Set(ids).size).toBe(1);
  });

  test("is no stream", async () => {
    const asking = client.audio.transcriptions.create({
      model: documents,
      file: await recording(),
      stream: true,
    });
    const error = await refusal(asking);
    expect(error).toMatchObject({ status: 400, code: "unsupported_parameter", param: "stream" });
  });

  test("into another language is not offered", async () => {
    const error = await refusal(
      client.audio.translations.create({ model: documents, file: await recording() }),
    );
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.code).toBe("not_found");
  });
});

describe("images", () => {
  test("come in the answer, of the size and number asked for, and cost by their pixels", async () => {
    const answer = await client.images.generate({
      model: documents,
      prompt: "a red fox",
      n: 2,
      size: "1024x1024",
    });
    expect(imageAnswerSchema.parse(answer)).toEqual(answer);
    const sizes = answer.data?.map(({ b64_json: image }) => imageSize(image ?? "", "png"));
    expect(sizes).toEqual(["1024x1024", "1024x1024"]);
    expect(answer.usage).toMatchObject({ input_tokens: 3, output_tokens: 2 * 4096 });
    const { task } = await lastTask();
    expect(task).toMatchObject({ kind: "image", state: "settled", completion_tokens: 2 * 4096 });
  });

  test("are of the network's own size unless another is asked for", async () => {
    const answer = await client.images.generate({ model: documents, prompt: "a fox" });
    expect(imageSize(answer.data?.[0]?.b64_json ?? "", "png")).toBe("512x512");
  });
});

describe("a model that cannot do it", () => {
  const asks: [string, string, (model: string) => Promise<unknown>][] = [
    ["embeddings", documents, (model) => client.embeddings.create({ model, input: "a" })],
    ["images", documents, (model) => client.images.generate({ model, prompt: "a" })],
    [
      "transcription",
      documents,
      async (model) =>
        client.audio.transcriptions.create({ model, file: await toFile(wavFile(1), "a.wav") }),
    ],
    [
      "chat",
      scripted,
      (model) =>
        client.chat.completions.create({ model, messages: [{ role: "user", content: "hi" }] }),
    ],
  ];

  test.each(asks)("is not found for %s, and the one that can is named", async (name, able, ask) => {
    const unable = able === documents ? scripted : documents;
    const error = await refusal(ask(unable));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: "model_not_found", param: "model" });
    expect(error.message).toContain(`${unable} does not offer ${name}; ${able} does`);
  });

  test.each([
    ["/v1/rerank", "rerank", { query: "a", documents: ["b"] }],
    ["/v1/classify", "classification", { input: "a" }],
  ])("is not found at %s either", async (path, name, body) => {
    const { status, json } = await post(path, { model: scripted, ...body });
    expect(status).toBe(404);
    const message = expect.stringContaining(`does not offer ${name}; ${documents} does`);
    expect(json).toMatchObject({ error: { code: "model_not_found", message } });
  });
});

describe("an engine that fails", () => {
  test("over the request itself says so, and nothing is paid", async () => {
    await flow.untilNothingHeld();
    const before = await flow.money();
    const input = script("fail=context_length_exceeded");
    const error = await refusal(client.embeddings.create({ model: documents, input }));
    expect(error).toMatchObject({ status: 400, code: "context_length_exceeded" });
    await flow.untilNothingHeld();
    expect(await flow.money()).toEqual(before);
  });

  test("is stopped when its consumer's connection breaks, and nothing is paid", async () => {
    await flow.untilNothingHeld();
    const before = await flow.money();
    using consumer = await RawClient.dial(flow.url);
    const body = JSON.stringify({ model: documents, prompt: script("hang") });
    consumer.ask(flow, body, undefined, "/v1/images/generations");
    await until("it is held for", async () => (await flow.money()).held_micros > 0);
    consumer.reset();
    await flow.untilNothingHeld();
    await flow.untilFreeSlots(4, documents);
    expect(await flow.money()).toEqual(before);
  });
});
