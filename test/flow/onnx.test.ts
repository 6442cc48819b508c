import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type OpenAI from "openai";
import { APIError, toFile } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { Flow } from "../helpers/flow-world.ts";
import { writeClassifier, writeEmbedder, writeListener } from "../helpers/onnx-models.ts";
import { spell, wavOf } from "../helpers/sounds.ts";

const folder = mkdtempSync(join(tmpdir(), "octo-onnx-"));
let flow: Flow;
let client: OpenAI;

beforeAll(async () => {
  const shorter = { "config_sentence_transformers.json": { matryoshka_dimensions: [2] } };
  flow = await Flow.start({
    models: [
      `onnx:${writeEmbedder(join(folder, "embedder"), shorter)}`,
      `onnx:${writeClassifier(join(folder, "ranker"), ["relevant"])}`,
      `onnx:${writeClassifier(join(folder, "labels"), ["cold", "warm"])}`,
      `onnx:${writeListener(join(folder, "listener"))}`,
    ],
  });
  client = flow.client();
});
afterAll(async () => {
  await flow?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function post<Schema extends z.ZodType>(path: string, body: object, schema: Schema) {
  const response = await flow.fetch(path, { method: "POST", body: JSON.stringify(body) });
  expect(response.status).toBe(200);
  return schema.parse(await response.json());
}

async function refusal(asking: Promise<unknown>): Promise<APIError> {
  const error: unknown = await asking.then(
    () => "nothing was refused",
    (thrown: unknown) => thrown,
  );
  if (error instanceof APIError) return error;
  throw new Error(`no refusal of the edge's: ${String(error)}`);
}

describe("embeddings of an ONNX model", () => {
  test("reach the OpenAI client as floats, packed or not, and cost the tokens that were read", async () => {
    const input = ["red", "blue red"];
    const packed = await client.embeddings.create({ model: "embedder", input });
    const plain = await client.embeddings.create({
      model: "embedder",
      input,
      encoding_format: "float",
    });
    expect(plain.data).toEqual(packed.data);
    expect(plain.data[0]?.embedding).toEqual([1, 0, 0, 0]);
    const [red = 0, , blue = 0] = plain.data[1]?.embedding ?? [];
    expect(blue / red).toBeCloseTo(3, 5);
    expect(Math.hypot(red, blue)).toBeCloseTo(1, 6);
    expect(plain.usage).toEqual({ prompt_tokens: 7, total_tokens: 7 });
  });

  test("are cut to a length the model was trained for", async () => {
    const request = { model: "embedder", input: "green", dimensions: 2 };
    const { data } = await client.embeddings.create(request);
    expect(data[0]?.embedding).toEqual([0, 1]);
  });

  test("of a text that is too long are refused", async () => {
    const input = "red ".repeat(300).trim();
    const error = await refusal(client.embeddings.create({ model: "embedder", input }));
    expect(error).toMatchObject({ status: 400, code: "context_length_exceeded" });
  });
});

test("documents are ranked by an ONNX model", async () => {
  const documents = ["green", "dark dark", "blue"];
  const body = { model: "ranker", query: "red", documents };
  const schema = z.object({
    results: z.array(z.object({ index: z.int(), relevance_score: z.number() })),
  });
  const { results } = await post("/v1/rerank", body, schema);
  expect(results.map(({ index }) => index)).toEqual([1, 2, 0]);
  // Red and green cancel each other out.
  expect(results[2]?.relevance_score).toBeCloseTo(0.5, 6);
});

test("texts are classified by an ONNX model", async () => {
  const schema = z.object({ data: z.array(z.looseObject({ label: z.string() })) });
  const { data } = await post(
    "/v1/classify",
    { model: "labels", input: ["dark", "green"] },
    schema,
  );
  expect(data.map(({ label }) => label)).toEqual(["warm", "cold"]);
});

describe("speech", () => {
  test("is written down by an ONNX model for the OpenAI client", async () => {
    const file = await toFile(wavOf([spell("octo the cell", 44_100)], { rate: 44_100 }), "a.wav");
    const answer = await client.audio.transcriptions.create({ model: "listener", file });
    expect(answer.text).toBe("octo the cell");
  });

  test("in a file that is cut off is refused with the reason", async () => {
    const whole = wavOf([spell("octo", 16_000)], { rate: 16_000 });
    const file = await toFile(whole.subarray(0, 9_000), "a.wav");
    const asking = client.audio.transcriptions.create({ model: "listener", file });
    const error = await refusal(asking);
    expect(error.status).toBe(400);
    expect(error.message).toContain("Cannot read the audio file: it is cut off");
  });
});

test("an ability that no model has is refused with what there is", async () => {
  const error = await refusal(client.embeddings.create({ model: "listener", input: "red" }));
  expect(error.status).toBe(404);
});
