import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { errorSchema } from "../../../edge/openapi/openai-answers.ts";
import type { Ability } from "../../../shared/openai/demands.ts";
import type { FakeAttempt, Script } from "../../helpers/fake-worker.ts";
import { pngFile } from "../../helpers/image-files.ts";
import { until } from "../../helpers/until.ts";
import {
  type Consumer,
  ledgerSum,
  newFunded,
  newModel,
  serve,
  storedTask,
  untilListed,
  untilSettled,
} from "../world.ts";

const edge = (exports as unknown as { default: { fetch(request: Request): Promise<Response> } })
  .default;

/** Two floats. */
const vector = "AACAPwAAAMA=";

interface Posting {
  readonly body: BodyInit;
  readonly headers?: Record<string, string>;
}

function post(consumer: Consumer, path: string, { body, headers = {} }: Posting) {
  return edge.fetch(
    new Request(`https://edge.test${path}`, {
      method: "POST",
      body,
      headers: { authorization: `Bearer ${consumer.key}`, ...headers },
    }),
  );
}

function embed(consumer: Consumer, model: string, fields: Record<string, unknown> = {}) {
  const body = JSON.stringify({ model, input: ["a", "b"], ...fields });
  return post(consumer, "/v1/embeddings", { body });
}

/** A worker that answers each attempt with this document. */
function documents(document: unknown): Script {
  return (attempt) => {
    const text = typeof document === "string" ? document : JSON.stringify(document);
    return attempt.answer(text);
  };
}

function isWhole(attempt: FakeAttempt): boolean {
  try {
    return attempt.request !== null;
  } catch {
    // Half a body is no JSON.
    return false;
  }
}

function serveDocuments(model: string, abilities: readonly Ability[], document: unknown) {
  const listing = { abilities: [...abilities] };
  return serve(model, { listing, script: documents(document) });
}

async function refused(response: Response) {
  return { status: response.status, ...errorSchema.parse(await response.json()).error };
}

describe("a document that is no answer", () => {
  test("sends the task to the next worker, and the consumer sees nothing of it", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const joined = Promise.withResolvers<void>();
    const answerBadly = documents({ vectors: [vector] });
    const bad = await serve(model, {
      listing: { abilities: ["embeddings"] },
      script: (attempt) => void joined.promise.then(() => answerBadly(attempt)),
    });
    await untilListed(model);
    const asked = embed(consumer, model);
    await bad.attempt();
    const good = await serveDocuments(model, ["embeddings"], { vectors: [vector, vector] });
    await untilListed(model, 2);
    joined.resolve();
    const response = await asked;
    expect(response.status).toBe(200);
    expect(response.headers.get("x-octo-worker")).toBe(good.id);
    const taskId = response.headers.get("x-octo-task") ?? "";
    const { task, attempts, receipts } = await storedTask(consumer, taskId);
    expect(task).toMatchObject({ kind: "embedding", state: "settled", completionTokens: 0 });
    expect(attempts).toMatchObject([
      { workerId: bad.id, outcome: "wrong_result" },
      { workerId: good.id, outcome: "complete" },
    ]);
    expect(receipts).toMatchObject([{ workerId: good.id }]);
    expect(await ledgerSum()).toBe(0n);
  });

  test.each(["not JSON", { vectors: [] }, { vectors: [vector, "AAAA"] }])(
    "costs nothing and is a 502 where every worker gives one (%j)",
    async (document) => {
      const model = newModel();
      const consumer = await newFunded();
      for (let count = 0; count < 3; count++) {
        await serveDocuments(model, ["embeddings"], document);
      }
      await untilListed(model, 3);
      const error = await refused(await embed(consumer, model));
      expect(error).toMatchObject({ status: 502, code: "worker_failed" });
      expect(error.message).toMatch(/^The worker's answer is no answer: /);
      const { balance, held } = await untilSettled(consumer);
      expect([balance, held]).toEqual([10_000_000n, 0n]);
    },
  );
});

test("vectors of the length asked for come from a model that can make them", async () => {
  const model = newModel();
  const consumer = await newFunded();
  const both: Ability[] = ["embeddings", "embedding_dimensions"];
  const worker = await serveDocuments(model, both, { vectors: [vector, vector] });
  await untilListed(model);
  const response = await embed(consumer, model, { dimensions: 2 });
  expect(await response.json()).toMatchObject({
    data: [
      { index: 0, embedding: [1, -2] },
      { index: 1, embedding: [1, -2] },
    ],
    usage: { prompt_tokens: 5, total_tokens: 5 },
  });
  const { request } = await worker.attempt();
  expect(request).toEqual({ model, input: ["a", "b"], dimensions: 2 });
});

test("an answer too long to be kept for its idempotency key comes whole, and is made anew", async () => {
  const model = newModel();
  const consumer = await newFunded();
  // Numbers as text: each of 300,000 has nineteen characters.
  const floats = new Float32Array(150_000).fill(0.1);
  const long = btoa(
    Array.from(new Uint8Array(floats.buffer), (byte) => String.fromCharCode(byte)).join(""),
  );
  const script: Script = async (attempt) => {
    const text = JSON.stringify({ vectors: [long, long] });
    await attempt.answer(...(text.match(/.{1,16000}/g) ?? []));
  };
  const worker = await serve(model, { listing: { abilities: ["embeddings"] }, script });
  await untilListed(model);
  const body = JSON.stringify({ model, input: ["a", "b"] });
  const headers = { "idempotency-key": model };
  for (let time = 0; time < 2; time++) {
    const response = await until("the key is free", async () => {
      const found = await post(consumer, "/v1/embeddings", { body, headers });
      return found.status === 200 && found;
    });
    const { data } = (await response.json()) as { data: { embedding: number[] }[] };
    expect(data.map(({ embedding }) => embedding.length)).toEqual([150_000, 150_000]);
    expect(response.headers.get("idempotency-replayed")).toBeNull();
  }
  expect(worker.attempts).toHaveLength(2);
});

test("an image costs its pixels, however few bytes it takes", async () => {
  const model = newModel();
  const consumer = await newFunded();
  const claim: Script = async (attempt) => {
    const text = JSON.stringify({ images: [pngFile(512, 512)], format: "png" });
    attempt.parts([{ index: 0, tokens: 1_000_000, text }]);
    await attempt.end();
  };
  await serve(model, { listing: { abilities: ["images"], context_tokens: 77 }, script: claim });
  await untilListed(model);
  const body = JSON.stringify({ model, prompt: "a fox", size: "512x512" });
  const response = await post(consumer, "/v1/images/generations", { body });
  expect(await response.json()).toMatchObject({
    usage: { input_tokens: 5, output_tokens: 1024, total_tokens: 1029 },
  });
  const { task } = await storedTask(consumer, response.headers.get("x-octo-task") ?? "");
  expect(task.completionTokens).toBe(1024);
});

describe("a form", () => {
  const transcript = {
    text: "Hello",
    language: "en",
    duration_s: 1,
    segments: null,
    words: null,
  };

  async function world(script: Script = documents(transcript)) {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model, { listing: { abilities: ["transcription"] }, script });
    await untilListed(model);
    return { model, consumer, worker };
  }

  function form(model: string, ...more: readonly (readonly [string, string | File])[]) {
    const body = new FormData();
    body.append("model", model);
    for (const [name, value] of more) {
      if (typeof value === "string") body.append(name, value);
      else body.append(name, value, value.name);
    }
    return body;
  }

  const sound = (name = "a.mp3", bytes = 100) => new File([new Uint8Array(bytes)], name);
  const path = "/v1/audio/transcriptions";

  test("reaches the worker as base64 beside its fields, without its name", async () => {
    const { model, consumer, worker } = await world();
    const file = new File(["abc"], '../../etc/na"me\u0007 ünï.mp3');
    const fields = [
      ["file", file],
      ["language", "en"],
      ["temperature", "0.5"],
      ["response_format", "text"],
      ["stream", "false"],
    ] as const;
    const response = await post(consumer, path, { body: form(model, ...fields) });
    expect(await response.text()).toBe("Hello\n");
    expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    const { request } = await worker.attempt();
    expect(request).toMatchObject({ model, audio: "YWJj", language: "en", temperature: 0.5 });
    expect(request["file_name"]).toBe("audio.mp3");
    expect(request).not.toHaveProperty("response_format");
  });

  test.each([
    ["Our patient, Jane Doe", "abc", "audio"],
    ["jane.doe@example.org", "abc", "audio"],
    ["a.M4A", "abc", "audio.m4a"],
    ["Jane.wav", "\u00ff\u00fb\u0090\u00c4", "audio.mp3"],
  ])("has a name that says its format and nothing else (%s)", async (name, content, sent) => {
    const model = newModel();
    const consumer = await newFunded();
    const abilities: Ability[] = ["transcription", "audio:mp3"];
    const worker = await serve(model, { listing: { abilities }, script: documents(transcript) });
    await untilListed(model);
    const bytes = Uint8Array.from(content, (one) => one.charCodeAt(0));
    const file = new File([bytes], name);
    const response = await post(consumer, path, { body: form(model, ["file", file]) });
    expect(response.status).toBe(200);
    expect((await worker.attempt()).request["file_name"]).toBe(sent);
  });

  test("goes to a worker that reads its format, however good another is", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const abilities: Ability[] = ["transcription", "audio:wav"];
    const free = { input_micros_per_million: 0, output_micros_per_million: 0 };
    const script = documents(transcript);
    const reads = (more: Ability[]) => ({ abilities: [...abilities, ...more] });
    await serve(model, { listing: { ...reads([]), ...free }, script });
    await untilListed(model);
    const file = new File(["ID3 and so on"], "a.wav");
    const error = await refused(await post(consumer, path, { body: form(model, ["file", file]) }));
    expect(error).toMatchObject({ status: 400, code: "unsupported_parameter", param: "file" });
    expect(error.message).toContain(`No worker with ${model} reads mp3 files; it reads wav`);
    const able = await serve(model, { listing: reads(["audio:mp3"]), script });
    await untilListed(model, 2);
    const response = await post(consumer, path, { body: form(model, ["file", file]) });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-octo-worker")).toBe(able.id);
  });

  test("of nearly 4 MiB is served", async () => {
    const { model, consumer, worker } = await world(async (attempt) => {
      await until("the whole body has come", () => isWhole(attempt));
      await attempt.answer(JSON.stringify(transcript));
    });
    const file = sound("a.mp3", 4 * 1024 * 1024 - 1_000);
    const response = await post(consumer, path, { body: form(model, ["file", file]) });
    expect(response.status).toBe(200);
    expect(String((await worker.attempt()).request["audio"]).length).toBe(5_591_072);
  });

  test.each<[string, readonly (readonly [string, string | File])[], string]>([
    ["no file", [], "file"],
    ["an empty file", [["file", sound("a.mp3", 0)]], "file"],
    ["a file that is text", [["file", "abc"]], "file"],
    [
      "two files",
      [
        ["file", sound()],
        ["file", sound()],
      ],
      "file",
    ],
    [
      "two languages",
      [
        ["file", sound()],
        ["language", "en"],
        ["language", "de"],
      ],
      "language",
    ],
    [
      "a temperature in words",
      [
        ["file", sound()],
        ["temperature", "warm"],
      ],
      "temperature",
    ],
    [
      "a format that nobody knows",
      [
        ["file", sound()],
        ["response_format", "pdf"],
      ],
      "response_format",
    ],
    [
      "a granularity that nobody knows",
      [
        ["file", sound()],
        ["response_format", "verbose_json"],
        ["timestamp_granularities[]", "letter"],
      ],
      "timestamp_granularities[0]",
    ],
    [
      "options that are no JSON",
      [
        ["file", sound()],
        ["octo", "exact"],
      ],
      "octo",
    ],
    [
      "a language that is none",
      [
        ["file", sound()],
        ["language", "English"],
      ],
      "language",
    ],
  ])("with %s is refused by name", async (_, fields, param) => {
    const consumer = await newFunded();
    const error = await refused(await post(consumer, path, { body: form("m", ...fields) }));
    expect(error).toMatchObject({ status: 400, code: "invalid_request", param });
  });

  test("without a model is refused by name", async () => {
    const consumer = await newFunded();
    const body = new FormData();
    body.append("file", sound(), "a.mp3");
    const error = await refused(await post(consumer, path, { body }));
    expect(error).toMatchObject({ status: 400, code: "invalid_request", param: "model" });
  });

  test.each<[string, Posting, string]>([
    [
      "JSON",
      { body: "{}", headers: { "content-type": "application/json" } },
      "Send multipart/form-data with a file and a model; the body is application/json",
    ],
    ["nothing of the kind", { body: new Uint8Array(3) }, "Send multipart/form-data"],
    [
      "no boundary",
      { body: "--x", headers: { "content-type": "multipart/form-data; x" } },
      "The body is not a whole multipart form",
    ],
    [
      "half of itself",
      {
        body: '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
        headers: { "content-type": "multipart/form-data; boundary=x" },
      },
      "The body is not a whole multipart form",
    ],
  ])("that is %s is refused with what to send", async (_, posting, message) => {
    const error = await refused(await post(await newFunded(), path, posting));
    expect(error).toMatchObject({ status: 400, code: "invalid_request" });
    expect(error.message).toContain(message);
  });

  test("over 4 MiB is refused with what else to send", async () => {
    const file = sound("a.wav", 4 * 1024 * 1024);
    const error = await refused(
      await post(await newFunded(), path, { body: form("m", ["file", file]) }),
    );
    expect(error).toMatchObject({ status: 413, code: "body_too_large" });
    expect(error.message).toContain("may have 4194304; send a shorter recording, or a compressed");
  });
});

test("a form where JSON is wanted is refused with what to send", async () => {
  const body = new FormData();
  body.append("model", "m");
  const error = await refused(await post(await newFunded(), "/v1/embeddings", { body }));
  expect(error).toMatchObject({ status: 400, code: "invalid_request" });
  expect(error.message).toBe("Send JSON as the body; it is a form");
});
