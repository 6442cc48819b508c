import { describe, expect, test } from "vitest";
import type { Demands } from "../../../shared/openai/demands.ts";
import {
  classificationDemands,
  embeddingDemands,
  imageDemands,
  rerankDemands,
  transcriptionDemands,
} from "../../../shared/openai/result-demands.ts";

const embedding = { model: "m", input: "a" };
const image = { model: "m", prompt: "a" };
const audio = { model: "m", audio: "AAAA", file_name: "a.wav" };
const verbose = { ...audio, response_format: "verbose_json" as const };

function abilities(demands: Demands): readonly string[] {
  expect(demands.refused).toBeNull();
  return [...demands.fieldByAbility.keys()];
}

describe("each kind demands its own ability", () => {
  test.each<[string, Demands]>([
    ["embeddings", embeddingDemands(embedding)],
    ["rerank", rerankDemands({ model: "m", query: "q", documents: ["a"] })],
    ["classification", classificationDemands(embedding)],
    ["transcription", transcriptionDemands(audio)],
    ["images", imageDemands(image)],
  ])("%s", (ability, demands) => {
    expect(abilities(demands)).toEqual([ability]);
  });
});

describe("a field demands more", () => {
  test.each<[string, string, Demands]>([
    ["embedding_dimensions", "dimensions", embeddingDemands({ ...embedding, dimensions: 8 })],
    [
      "word_timestamps",
      "timestamp_granularities",
      transcriptionDemands({ ...verbose, timestamp_granularities: ["word"] }),
    ],
    ["image:jpeg", "output_format", imageDemands({ ...image, output_format: "jpeg" })],
    ["param:steps", "steps", imageDemands({ ...image, steps: 4 })],
    ["param:quality", "quality", imageDemands({ ...image, quality: "high" })],
    ["param:input_type", "input_type", embeddingDemands({ ...embedding, input_type: "query" })],
  ])("%s by %s", (ability, field, { fieldByAbility, refused }) => {
    expect(refused).toBeNull();
    expect(fieldByAbility.get(ability as `param:${string}`)).toBe(field);
    expect(fieldByAbility.size).toBe(2);
  });
});

test.each([
  ["wav", "RIFF\0\0\0\0WAVEfmt "],
  ["mp3", "ID3\x04"],
  ["mp3", "\xff\xfb\x90\xc4"],
  ["mp3", "\xff\xf3\x14\xc4"],
  ["flac", "fLaC"],
  ["ogg", "OggS"],
  ["mp4", "\0\0\0\x20ftypM4A "],
  ["webm", "\x1aE\xdf\xa3"],
])(
  "a recording demands that its worker reads its format (%s), by its first bytes",
  (format, head) => {
    const file = Buffer.from(head.padEnd(20, "\0"), "latin1").toString("base64");
    const { fieldByAbility } = transcriptionDemands({ ...audio, audio: file });
    expect([...fieldByAbility]).toEqual([
      ["transcription", "file"],
      [`audio:${format}`, "file"],
    ]);
  },
);

test("a recording of no known format is for its worker to judge", () => {
  for (const head of ["", "abc", "RIFF\0\0\0\0AVI ", "\xff\xf1\x50\x80"]) {
    const file = Buffer.from(head, "latin1").toString("base64");
    expect(abilities(transcriptionDemands({ ...audio, audio: file }))).toEqual(["transcription"]);
  }
});

test.each<[string, Demands]>([
  ["what only the edge reads", embeddingDemands({ ...embedding, encoding_format: "base64" })],
  ["who asks", imageDemands({ ...image, user: "u", metadata: {} })],
  ["null", embeddingDemands({ ...embedding, dimensions: null, anything: null })],
  ["a stream that is not wanted", imageDemands({ ...image, stream: false })],
  ["OpenAI's automatic values", imageDemands({ ...image, quality: "auto", background: "auto" })],
  ["automatic chunks", transcriptionDemands({ ...audio, chunking_strategy: "auto" })],
  ["times of segments", transcriptionDemands({ ...verbose, timestamp_granularities: ["segment"] })],
])("%s demands nothing", (_, demands) => {
  expect(abilities(demands)).toHaveLength(1);
});

describe("a request is refused", () => {
  test.each<[string, Demands]>([
    ["a stream of vectors", embeddingDemands({ ...embedding, stream: true })],
    ["a stream of text", transcriptionDemands({ ...audio, stream: true })],
    ["a stream of pictures", imageDemands({ ...image, stream: true })],
  ])("for %s", (_, { refused }) => {
    expect(refused?.param).toBe("stream");
  });

  test.each<[string, string, string, Demands]>([
    [
      "images than one answer holds",
      "n",
      "one answer holds 4 of 1024x1024; send fewer at a time",
      imageDemands({ ...image, n: 5, size: "1024x1024" }),
    ],
    [
      "vectors than one answer holds",
      "input",
      "one answer holds 575 vectors of 4096 dimensions; send fewer at a time",
      embeddingDemands({ ...embedding, input: Array(576).fill("a"), dimensions: 4096 }),
    ],
  ])("for more %s", (_, param, reason, { refused }) => {
    expect(refused).toEqual({ param, reason });
  });

  test("for no number that one answer holds", () => {
    const of = { ...embedding, input: Array<string>(575).fill("a"), dimensions: 4096 };
    for (const { refused } of [
      embeddingDemands(of),
      embeddingDemands({ ...embedding, input: Array<string>(2048).fill("a") }),
      imageDemands({ ...image, n: 4, size: "1024x1024" }),
      imageDemands({ ...image, n: 8, size: "1024x1024", output_format: "jpeg" }),
      imageDemands({ ...image, n: 1, size: "4096x4096" }),
    ]) {
      expect(refused).toBeNull();
    }
  });

  test("for times in a form that shows none", () => {
    const demands = transcriptionDemands({ ...audio, timestamp_granularities: ["segment"] });
    expect(demands.refused).toEqual({
      param: "timestamp_granularities",
      reason: "it needs response_format: verbose_json",
    });
  });
});
