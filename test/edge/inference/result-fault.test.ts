import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { resultFault } from "../../../edge/inference/results/result-fault.ts";
import type { ResultShape } from "../../../edge/inference/results/result-shape.ts";
import { jpegFile, pngFile, webpFile } from "../../helpers/image-files.ts";

function floats(...values: readonly number[]): string {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString("base64");
}

function shapeOf<Kind extends ResultShape["kind"]>(
  kind: Kind,
  changes: Partial<Extract<ResultShape, { kind: Kind }>> = {},
): ResultShape {
  const shapes = {
    embedding: { kind: "embedding", vectors: 2, dimensions: null },
    rerank: { kind: "rerank", scores: 2 },
    classification: { kind: "classification", inputs: 1 },
    transcription: { kind: "transcription", words: false },
    image: { kind: "image", images: 1, size: "16x8", format: null },
  } as const satisfies Record<ResultShape["kind"], ResultShape>;
  return { ...shapes[kind], ...changes } as ResultShape;
}

const transcript = { text: "hi", language: null, duration_s: 1, segments: null, words: null };
const labels = [{ label: "good", score: 0.9 }];
const png = pngFile(16, 8);

describe("a document that answers its request has no fault", () => {
  test.each<[string, ResultShape, unknown]>([
    ["vectors", shapeOf("embedding"), { vectors: [floats(1, 2), floats(3, 4)] }],
    [
      "vectors of the length asked for",
      shapeOf("embedding", { dimensions: 2 }),
      { vectors: [floats(1, 2), floats(3, 4)] },
    ],
    ["scores", shapeOf("rerank"), { scores: [0, 1] }],
    ["labels", shapeOf("classification"), { labels: [labels] }],
    ["a transcript", shapeOf("transcription"), transcript],
    ["silence", shapeOf("transcription"), { ...transcript, text: "" }],
    ["a PNG", shapeOf("image"), { images: [png], format: "png" }],
    ["a JPEG", shapeOf("image"), { images: [jpegFile(16, 8)], format: "jpeg" }],
    ["a lossy WebP", shapeOf("image"), { images: [webpFile("VP8 ", 16, 8)], format: "webp" }],
    ["a lossless WebP", shapeOf("image"), { images: [webpFile("VP8L", 16, 8)], format: "webp" }],
    ["an extended WebP", shapeOf("image"), { images: [webpFile("VP8X", 16, 8)], format: "webp" }],
  ])("%s", (_, shape, document) => {
    expect(resultFault(shape, JSON.stringify(document))).toBeNull();
  });
});

describe("a document is no answer", () => {
  test.each<[string, ResultShape, unknown, string]>([
    ["of another kind", shapeOf("rerank"), { vectors: [floats(1)] }, "scores: "],
    ["with a vector too few", shapeOf("embedding"), { vectors: [floats(1)] }, "1 vectors where 2"],
    [
      "with vectors of two lengths",
      shapeOf("embedding"),
      { vectors: [floats(1), floats(1, 2)] },
      "vector 1 has 2 dimensions instead of 1",
    ],
    [
      "with vectors of another length than asked for",
      shapeOf("embedding", { dimensions: 3 }),
      { vectors: [floats(1), floats(2)] },
      "vector 0 has 1 dimensions instead of 3",
    ],
    [
      "with a float that is no number",
      shapeOf("embedding"),
      { vectors: [floats(1), floats(Number.NaN)] },
      "vector 1 holds what is no number",
    ],
    [
      "with a float without end",
      shapeOf("embedding"),
      { vectors: [floats(1), floats(Number.POSITIVE_INFINITY)] },
      "vector 1 holds what is no number",
    ],
    [
      "with half a float",
      shapeOf("embedding"),
      { vectors: [floats(1), "AAAA"] },
      "vector 1 is not whole 32-bit floats",
    ],
    ["that is not base64", shapeOf("embedding"), { vectors: ["?", "!"] }, "vectors.0: "],
    ["with a score too many", shapeOf("rerank"), { scores: [0, 1, 0.5] }, "3 scores where 2"],
    ["with a score over one", shapeOf("rerank"), { scores: [0, 1.5] }, "score 1 is 1.5"],
    ["with no labels", shapeOf("classification"), { labels: [[]] }, "labels.0: "],
    [
      "without the times that were asked for",
      shapeOf("transcription", { words: true }),
      transcript,
      "no times of words",
    ],
    [
      "in another format than asked for",
      shapeOf("image", { format: "webp" }),
      { images: [png], format: "png" },
      "its images are png where webp was asked for",
    ],
    [
      "that says it is another format than it is",
      shapeOf("image"),
      { images: [png], format: "jpeg" },
      "image 0 is no jpeg",
    ],
    [
      "of another size than is paid for",
      shapeOf("image", { size: "1024x1024" }),
      { images: [png], format: "png" },
      "image 0 is 16x8 where 1024x1024 was asked for",
    ],
    [
      "with an image too many",
      shapeOf("image"),
      { images: [png, png], format: "png" },
      "2 images where 1",
    ],
    [
      "with half an image's head",
      shapeOf("image"),
      { images: [png.slice(0, 24)], format: "png" },
      "image 0 is no png",
    ],
  ])("%s", (_, shape, document, fault) => {
    expect(resultFault(shape, JSON.stringify(document))).toContain(fault);
  });

  test.each(["", "null", "[]", "{", '{"scores":[1e999,0]}'])("that reads %j", (text) => {
    expect(resultFault(shapeOf("rerank"), text)).not.toBeNull();
  });
});

describe("whatever a worker sends, it is judged and nothing breaks", () => {
  const kinds = ["embedding", "rerank", "classification", "transcription", "image"] as const;
  const isJudged = (kind: (typeof kinds)[number], text: string) => {
    const fault = resultFault(shapeOf(kind), text);
    expect(fault === null || fault.length > 0).toBe(true);
  };

  test("as any text or JSON", () => {
    const texts = fc.oneof(fc.json(), fc.string());
    fc.assert(fc.property(fc.constantFrom(...kinds), texts, isJudged));
  });

  test("as vectors of any bytes", () => {
    const vectors = fc.array(fc.base64String(), { maxLength: 3 });
    fc.assert(
      fc.property(vectors, (some) => isJudged("embedding", JSON.stringify({ vectors: some }))),
    );
  });

  test("as images that are cut short or altered", () => {
    const heads = fc.constantFrom(png, jpegFile(16, 8), webpFile("VP8X", 16, 8));
    const edits = fc.array(fc.tuple(fc.nat(40), fc.nat(255)), { maxLength: 4 });
    const format = fc.constantFrom("png", "jpeg", "webp");
    fc.assert(
      fc.property(heads, edits, fc.nat(64), format, (head, changes, length, name) => {
        const bytes = Buffer.from(head, "base64");
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        const images = [bytes.subarray(0, length).toString("base64")];
        isJudged("image", JSON.stringify({ images, format: name }));
      }),
      { numRuns: 500 },
    );
  });
});
