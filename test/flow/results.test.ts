import type OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { contractPath, ContractWatch, hasContract } from "../helpers/flow-contract.ts";
import { Flow, scripted } from "../helpers/flow-world.ts";

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

describe("embeddings", () => {
  test("of a text come as a vector of length one, the same every time", async () => {
    const request = { model: documents, input: "the fox", encoding_format: "float" } as const;
    const [first, second] = [
      await client.embeddings.create(request),
      await client.embeddings.create(request),
    ];
    const vector = first.data[0]?.embedding ?? [];
    expect(vector).toHaveLength(32);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 6);
    expect(second.data).toEqual(first.data);
    expect(first.usage).toEqual({ prompt_tokens: 2, total_tokens: 2 });
  });
});
