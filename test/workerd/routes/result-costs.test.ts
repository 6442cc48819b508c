import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import type { Ability } from "../../../shared/openai/demands.ts";
import type { Script } from "../../helpers/fake-worker.ts";
import { pngFile } from "../../helpers/image-files.ts";
import { until } from "../../helpers/until.ts";
import {
  ledgerBalance,
  ledgerSum,
  newFunded,
  newModel,
  serve,
  storedTask,
  summaryOf,
  untilListed,
  untilSettled,
} from "../world.ts";

const edge = (exports as unknown as { default: { fetch(request: Request): Promise<Response> } })
  .default;

interface Case {
  readonly path: string;
  readonly ability: Ability;
  readonly fields: Record<string, unknown>;
  readonly document: unknown;
}

const silence = { text: "", language: null, duration_s: 0, segments: null, words: null };

const cases: Record<string, Case> = {
  embedding: {
    path: "/v1/embeddings",
    ability: "embeddings",
    fields: { input: "a" },
    document: { vectors: ["AACAPwAAAMA="] },
  },
  rerank: {
    path: "/v1/rerank",
    ability: "rerank",
    fields: { query: "q", documents: ["a", "b"] },
    document: { scores: [0.1, 0.9] },
  },
  classification: {
    path: "/v1/classify",
    ability: "classification",
    fields: { input: "a" },
    document: { labels: [[{ label: "good", score: 1 }]] },
  },
  transcription: {
    path: "/v1/audio/transcriptions",
    ability: "transcription",
    fields: { file: new File([new Uint8Array(100)], "a.mp3") },
    document: silence,
  },
  image: {
    path: "/v1/images/generations",
    ability: "images",
    fields: { prompt: "a fox", size: "256x256" },
    document: { images: [pngFile(256, 256)], format: "png" },
  },
};

/** Five tokens of prompt, as fake workers count, and none of an answer. */
function uncounted(document: unknown): Script {
  return async (attempt) => {
    attempt.parts([{ index: 0, tokens: 0, text: JSON.stringify(document) }]);
    await attempt.end();
  };
}

function bodyOf(model: string, fields: Record<string, unknown>): BodyInit {
  if (!(fields["file"] instanceof File)) return JSON.stringify({ model, ...fields });
  const form = new FormData();
  form.append("model", model);
  form.append("file", fields["file"], fields["file"].name);
  return form;
}

test.each(Object.entries(cases))(
  "the prompt of a whole document (%s) is paid, and its provider earns, without a token in it",
  async (kind, { path, ability, fields, document }) => {
    const model = newModel();
    const [consumer, provider] = [await newFunded(), await newFunded(1)];
    await serve(model, {
      account: provider.accountId,
      listing: { abilities: [ability], input_micros_per_million: 2_000_000 },
      script: uncounted(document),
    });
    await untilListed(model);
    const response = await edge.fetch(
      new Request(`https://edge.test${path}`, {
        method: "POST",
        body: bodyOf(model, fields),
        headers: { authorization: `Bearer ${consumer.key}` },
      }),
    );
    expect(response.status).toBe(200);
    const { task } = await storedTask(consumer, response.headers.get("x-octo-task") ?? "");
    expect(task).toMatchObject({ kind, promptTokens: 5, completionTokens: 0, costMicros: 10n });
    expect((await untilSettled(consumer)).balance).toBe(9_999_990n);
    expect(await ledgerBalance(consumer)).toBe(9_999_990n);
    await until("the provider has earned its share", async () => {
      return (await summaryOf(provider)).earned === 7n;
    });
    expect(await ledgerSum()).toBe(0n);
  },
);

test("a transcript is not billed for more speech than it says there is", async () => {
  const model = newModel();
  const consumer = await newFunded();
  const heard = { ...silence, text: "Hello", duration_s: 2 };
  const script: Script = async (attempt) => {
    attempt.parts([{ index: 0, tokens: 60, text: JSON.stringify(heard) }]);
    const usage = { prompt: 1_000, completion: 60, cached: 0 };
    await attempt.end({ receipt: { prompt_tokens: usage.prompt }, frame: { usage } });
  };
  await serve(model, { listing: { abilities: ["transcription"] }, script });
  await untilListed(model);
  const file = new File([new Uint8Array(20_000)], "a.mp3");
  const response = await edge.fetch(
    new Request("https://edge.test/v1/audio/transcriptions", {
      method: "POST",
      body: bodyOf(model, { file }),
      headers: { authorization: `Bearer ${consumer.key}` },
    }),
  );
  const { usage } = (await response.json()) as { usage: unknown };
  expect(usage).toMatchObject({ input_tokens: 2 * 50 + 64, output_tokens: 60 });
  const { task } = await storedTask(consumer, response.headers.get("x-octo-task") ?? "");
  expect(task).toMatchObject({ promptTokens: 164, completionTokens: 60 });
});
