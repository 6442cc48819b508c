import { describe, expect, test } from "vitest";
import type { ResultRequest } from "../../../edge/inference/engine-request.ts";
import { resultAnswer } from "../../../edge/inference/results/result-answer.ts";
import {
  classificationAnswerSchema,
  embeddingAnswerSchema,
  imageAnswerSchema,
  rerankAnswerSchema,
  transcriptionAnswerSchema,
} from "../../../edge/openapi/result-answers.ts";
import type { TranscriptionResult } from "../../../shared/openai/results.ts";
import { pngFile } from "../../helpers/image-files.ts";

const head = {
  taskId: `tsk_${"a".repeat(22)}`,
  createdMs: 5_500,
  model: "m",
  counts: { promptTokens: 7, completionTokens: 3 },
};
const demands = { fieldByAbility: new Map(), refused: null };
/** 1 and -2 as 32-bit floats. */
const vector = "AACAPwAAAMA=";

function answer(wanted: Omit<ResultRequest, "demands">, document: unknown) {
  const asked = { ...wanted, demands } as ResultRequest;
  return resultAnswer(asked, head, JSON.stringify(document));
}

async function jsonOf(wanted: Omit<ResultRequest, "demands">, document: unknown): Promise<unknown> {
  const { body, contentType } = answer(wanted, document);
  expect(contentType).toBe("application/json");
  return new Response(body).json();
}

test("vectors are floats, or base64 as the worker sent them", async () => {
  const request = { model: "m", input: ["a"] };
  const floats = await jsonOf({ kind: "embedding", request }, { vectors: [vector] });
  expect(embeddingAnswerSchema.parse(floats)).toEqual(floats);
  expect(floats).toEqual({
    object: "list",
    model: "m",
    data: [{ object: "embedding", index: 0, embedding: [1, -2] }],
    usage: { prompt_tokens: 7, total_tokens: 10 },
  });
  const packed = { ...request, encoding_format: "base64" as const };
  const base64 = await jsonOf({ kind: "embedding", request: packed }, { vectors: [vector] });
  expect(base64).toMatchObject({ data: [{ embedding: vector }] });
});

test("vectors as numbers are made one at a time, as they are read", async () => {
  const vectors = Array.from({ length: 2048 }, () => vector);
  const asked = { kind: "embedding" as const, request: { model: "m", input: ["a"] } };
  const { body } = answer(asked, { vectors });
  const pieces: string[] = [];
  for await (const piece of body as ReadableStream<Uint8Array>) {
    pieces.push(Buffer.from(piece).toString());
  }
  expect(pieces).toHaveLength(2048 + 2);
  const { data } = embeddingAnswerSchema.parse(JSON.parse(pieces.join("")));
  expect(data).toHaveLength(2048);
  expect(data[2047]).toEqual({ object: "embedding", index: 2047, embedding: [1, -2] });
});

describe("documents are ranked", () => {
  const request = { model: "m", query: "q", documents: ["a", "b", "c"] };
  const ranking = { scores: [0.2, 0.9, 0.2] };
  const indices = async (top_n?: number) => {
    const asked = { ...request, ...(top_n === undefined ? {} : { top_n }) };
    const found = await jsonOf({ kind: "rerank", request: asked }, ranking);
    return rerankAnswerSchema.parse(found).results.map(({ index }) => index);
  };

  test("by relevance, equals in the order they came in", async () => {
    expect(await indices()).toEqual([1, 0, 2]);
  });

  test("and only so many are given", async () => {
    expect(await indices(2)).toEqual([1, 0]);
    expect(await indices(50)).toHaveLength(3);
  });

  test("with their texts where those are asked for", async () => {
    const asked = { ...request, top_n: 1, return_documents: true };
    const found = await jsonOf({ kind: "rerank", request: asked }, ranking);
    expect(found).toMatchObject({ results: [{ index: 1, document: { text: "b" } }] });
  });
});

test("labels come with the likeliest apart", async () => {
  const labels = [
    { label: "good", score: 0.75 },
    { label: "bad", score: 0.25 },
  ];
  const request = { model: "m", input: "a" };
  const found = await jsonOf({ kind: "classification", request }, { labels: [labels] });
  expect(classificationAnswerSchema.parse(found)).toEqual(found);
  expect(found).toMatchObject({
    id: `classify-${"a".repeat(22)}`,
    created: 5,
    data: [{ index: 0, label: "good", probs: [0.75, 0.25], num_classes: 2 }],
  });
});

test("images come with their format, size and what they count for", async () => {
  const images = [pngFile(64, 32)];
  const request = { model: "m", prompt: "a", size: "64x32" };
  const found = await jsonOf({ kind: "image", request }, { images, format: "png" });
  expect(imageAnswerSchema.parse(found)).toEqual(found);
  expect(found).toMatchObject({
    data: [{ b64_json: images[0] }],
    output_format: "png",
    size: "64x32",
    usage: { input_tokens: 7, output_tokens: 3, total_tokens: 10 },
  });
});

describe("a transcript", () => {
  const spoken: TranscriptionResult = {
    text: "One <two>\n\n3 --> 4",
    language: "en",
    duration_s: 3_725.0304,
    segments: [
      { start: 0, end: 1.9996, text: " One <two>" },
      { start: 3_725, end: 3_725.0304, text: "\n\n3 --> 4 & more\n" },
    ],
    words: null,
  };
  const as = (response_format: "json" | "text" | "srt" | "vtt" | "verbose_json") => ({
    kind: "transcription" as const,
    request: { model: "m", audio: "AAAA", file_name: "a.wav", response_format },
  });

  test("is text and usage", async () => {
    const found = await jsonOf(as("json"), spoken);
    expect(transcriptionAnswerSchema.parse(found)).toEqual(found);
    expect(found).toEqual({
      text: spoken.text,
      usage: { type: "tokens", input_tokens: 7, output_tokens: 3, total_tokens: 10 },
    });
  });

  test("with everything that is known has numbered segments", async () => {
    const found = await jsonOf(as("verbose_json"), spoken);
    expect(transcriptionAnswerSchema.parse(found)).toEqual(found);
    expect(found).toMatchObject({
      language: "en",
      segments: [
        { id: 0, start: 0 },
        { id: 1, end: 3_725.0304 },
      ],
      usage: { type: "duration", seconds: 3_726 },
    });
    expect(found).not.toHaveProperty("words");
  });

  test("as SubRip has cues that nothing in the text can break", () => {
    expect(answer(as("srt"), spoken).body).toBe(
      "1\n00:00:00,000 --> 00:00:02,000\nOne <two>\n\n" +
        "2\n01:02:05,000 --> 01:02:05,030\n3 -> 4 & more\n\n",
    );
  });

  test.each([
    ["a long arrow", "a ---> b ----> c", "a -> b -> c"],
    ["carriage returns", "x\r\ry\r\n\r\nz", "x y z"],
  ])("has no cue broken by %s", (_, text, shown) => {
    const broken = { ...spoken, segments: [{ start: 0, end: 1, text }] };
    expect(answer(as("srt"), broken).body).toBe(`1\n00:00:00,000 --> 00:00:01,000\n${shown}\n\n`);
    const escaped = shown.replaceAll(">", "&gt;");
    expect(answer(as("vtt"), broken).body).toBe(
      `WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n${escaped}\n\n`,
    );
  });

  test("as WebVTT has no markup in it", () => {
    expect(answer(as("vtt"), spoken)).toEqual({
      contentType: "text/vtt; charset=utf-8",
      body:
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nOne &lt;two&gt;\n\n" +
        "01:02:05.000 --> 01:02:05.030\n3 -&gt; 4 &amp; more\n\n",
    });
  });

  test("without times is one cue, and without a word is none", () => {
    const untimed = { ...spoken, segments: null, duration_s: 2, text: "Hi" };
    expect(answer(as("srt"), untimed).body).toBe("1\n00:00:00,000 --> 00:00:02,000\nHi\n\n");
    expect(answer(as("srt"), { ...untimed, text: "" }).body).toBe("");
    expect(answer(as("text"), untimed).body).toBe("Hi\n");
  });
});
