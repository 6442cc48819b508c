import { expect, test } from "vitest";
import { countsWithin } from "../../../edge/inference/results/result-counts.ts";

const counts = { promptTokens: 100_000, completionTokens: 50_000 };
const spoken = (duration_s: number) =>
  JSON.stringify({ text: "Hello", language: "en", duration_s, segments: null, words: null });

test("a transcript costs no more than the seconds it says it heard", () => {
  const shape = { kind: "transcription", words: false, promptBytes: 10 } as const;
  expect(countsWithin(shape, spoken(60), counts)).toEqual({
    promptTokens: 60 * 50 + 10 + 64,
    completionTokens: 448 + 60 * 15,
  });
  const few = { promptTokens: 3, completionTokens: 2 };
  expect(countsWithin(shape, spoken(60), few)).toEqual(few);
});

test("a transcript that tells no time is paid by its text alone", () => {
  const shape = { kind: "transcription", words: false } as const;
  const text = "word ".repeat(1_000);
  const read = JSON.stringify({ ...JSON.parse(spoken(0)), text });
  expect(countsWithin(shape, read, { promptTokens: 900, completionTokens: 1_000 })).toEqual({
    promptTokens: 64,
    completionTokens: 1_000,
  });
  expect(countsWithin(shape, read, counts).completionTokens).toBe(5_000);
});

test("nothing else is counted by its document", () => {
  const shape = { kind: "transcription", words: false } as const;
  expect(countsWithin(shape, '{"text": "Hel', counts)).toEqual(counts);
  expect(countsWithin(null, "Hello", counts)).toEqual(counts);
  expect(countsWithin({ kind: "rerank", scores: 1 }, '{"scores":[1]}', counts)).toEqual(counts);
});
