import { describe, expect, test } from "vitest";
import {
  rankLabels,
  relevance,
  shorten,
  softmax,
  toUnit,
  vectorToBase64,
} from "../../../worker-agent/engine/transformers/transformers-scores.ts";
import { halfToNumber, pool } from "../../../worker-agent/engine/transformers/transformers-text.ts";
import { windowsOf } from "../../../worker-agent/engine/transformers/transformers-speech.ts";

describe("a relevance", () => {
  test("of one logit is its sigmoid, of two labels the second's probability", () => {
    expect(relevance([0])).toBe(0.5);
    expect(relevance([Math.log(3)])).toBeCloseTo(0.75, 12);
    expect(relevance([0, Math.log(3)])).toBeCloseTo(0.75, 12);
  });

  test("of three labels is refused", () => {
    const ask = (): unknown => relevance([1, 2, 3]);
    expect(ask).toThrow("the model gives 3 scores a pair instead of 1 or 2");
  });
});

describe("labels", () => {
  test("that exclude each other add up to one, the likeliest first", () => {
    const ranked = rankLabels([0, Math.log(3)], { labels: ["no", "yes"], isMultiLabel: false });
    expect(ranked.map(({ label }) => label)).toEqual(["yes", "no"]);
    expect(ranked[0]?.score).toBeCloseTo(0.75, 12);
    expect(ranked[1]?.score).toBeCloseTo(0.25, 12);
  });

  test("that may hold together each have their own probability", () => {
    const ranked = rankLabels([0, 0, -1000], { labels: ["a", "b"], isMultiLabel: true });
    expect(ranked).toEqual([
      { label: "a", score: 0.5 },
      { label: "b", score: 0.5 },
      { label: "LABEL_2", score: 0 },
    ]);
  });

  test("of huge logits do not overflow", () => {
    expect(softmax([1e4, 1e4])).toEqual([0.5, 0.5]);
  });
});

describe("vectors", () => {
  test("are cut and brought to length one again", () => {
    expect([...shorten(Float32Array.of(3, 4, 12), 2)]).toEqual([
      Math.fround(0.6),
      Math.fround(0.8),
    ]);
    expect([...toUnit(Float32Array.of(0, 0))]).toEqual([0, 0]);
  });

  test("travel as little-endian floats", () => {
    const bytes = Buffer.from(vectorToBase64(Float32Array.of(1, -2)), "base64");
    expect([bytes.readFloatLE(0), bytes.readFloatLE(4)]).toEqual([1, -2]);
  });

  test.each([
    ["mean", [2, 3]],
    ["cls", [1, 2]],
    ["last", [3, 4]],
  ] as const)("of tokens become one by %s, padding left out", (pooling, expected) => {
    const tokens = Float32Array.of(1, 2, 3, 4, 99, 99);
    expect([...pool(tokens, { width: 2, length: 2, pooling })]).toEqual(expected);
  });
});

test.each([
  [0x3c00, 1],
  [0xc000, -2],
  [0x3555, 0.333251953125],
  [0x0001, 2 ** -24],
  [0x8000, -0],
  [0x7bff, 65_504],
  [0xfc00, -Infinity],
  [0x7e00, Number.NaN],
])("the half precision of %i is read", (bits, value) => {
  expect(halfToNumber(bits)).toBe(value);
});

test("windows of a long sound keep every second once, with context on both sides", () => {
  for (const length of [1, 29, 30, 31, 50, 51, 3_600]) {
    const windows = windowsOf(length, 1);
    expect(windows[0]?.keepFrom).toBe(0);
    expect(windows.at(-1)?.keepTo).toBe(length);
    for (const [at, { start, end, keepFrom, keepTo }] of windows.entries()) {
      expect(end - start).toBeLessThanOrEqual(30);
      expect(keepFrom).toBe(windows[at - 1]?.keepTo ?? 0);
      expect(keepFrom - start).toBe(at === 0 ? 0 : 5);
      expect(end - keepTo).toBe(at === windows.length - 1 ? 0 : 5);
    }
  }
});
