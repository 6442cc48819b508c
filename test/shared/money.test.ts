import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../shared/assert.ts";
import {
  costMicros,
  defaultSplit,
  divideBySplit,
  formatCredits,
  highestPrice,
  MICROS_PER_CREDIT,
  parseCredits,
  type Split,
  splitParties,
} from "../../shared/money.ts";

const price = { inputMicrosPerMillion: 150_000, outputMicrosPerMillion: 600_000 };
const count = fc.integer({ min: 0, max: 100_000_000 });
const amount = fc.integer({ min: 0, max: 1_000_000_000 });

describe("the cost of tokens", () => {
  test("no tokens cost nothing", () => {
    expect(costMicros({ promptTokens: 0, completionTokens: 0 }, price)).toBe(0n);
  });

  test("a million tokens of each kind cost their prices", () => {
    const counts = { promptTokens: 1_000_000, completionTokens: 1_000_000 };
    expect(costMicros(counts, price)).toBe(750_000n);
  });

  test("the whole sum is rounded up once, not each of its parts", () => {
    const thirds = { inputMicrosPerMillion: 300_000, outputMicrosPerMillion: 300_000 };
    expect(costMicros({ promptTokens: 1, completionTokens: 1 }, thirds)).toBe(1n);
    expect(costMicros({ promptTokens: 3, completionTokens: 1 }, thirds)).toBe(2n);
  });

  test("the dearest listing's largest answer is exact, where a float would not be", () => {
    const dearest = { inputMicrosPerMillion: 0, outputMicrosPerMillion: 999_999_999 };
    const counts = { promptTokens: 0, completionTokens: 100_000_000 };
    expect(costMicros(counts, dearest)).toBe(99_999_999_900n);
  });

  test("it is the exact cost, rounded up by less than one micro", () => {
    fc.assert(
      fc.property(count, count, amount, amount, (promptTokens, completionTokens, input, output) => {
        const dear = { inputMicrosPerMillion: input, outputMicrosPerMillion: output };
        const cost = costMicros({ promptTokens, completionTokens }, dear);
        const exact =
          BigInt(promptTokens) * BigInt(input) + BigInt(completionTokens) * BigInt(output);
        expect(cost * 1_000_000n - exact).toBeGreaterThanOrEqual(0n);
        expect(cost * 1_000_000n - exact).toBeLessThan(1_000_000n);
      }),
    );
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])(
    "%s tokens, or micros, are a bug of whoever counts",
    (wrong) => {
      const right = { promptTokens: 1, completionTokens: 1 };
      expect(() => costMicros({ ...right, promptTokens: wrong }, price)).toThrow(AssertionError);
      expect(() => costMicros({ ...right, completionTokens: wrong }, price)).toThrow(
        AssertionError,
      );
      expect(() => costMicros(right, { ...price, inputMicrosPerMillion: wrong })).toThrow(
        AssertionError,
      );
    },
  );

  test("the highest of two prices covers the cost at either", () => {
    fc.assert(
      fc.property(count, count, amount, amount, amount, amount, (prompt, made, a, b, c, d) => {
        const first = { inputMicrosPerMillion: a, outputMicrosPerMillion: b };
        const second = { inputMicrosPerMillion: c, outputMicrosPerMillion: d };
        const counts = { promptTokens: prompt, completionTokens: made };
        const covered = costMicros(counts, highestPrice(first, second));
        expect(covered).toBeGreaterThanOrEqual(costMicros(counts, first));
        expect(covered).toBeGreaterThanOrEqual(costMicros(counts, second));
      }),
    );
  });
});

/** Five whole percentages that sum to 100: the gaps between four cuts. */
const split: fc.Arbitrary<Split> = fc
  .array(fc.integer({ min: 0, max: 100 }), { minLength: 4, maxLength: 4 })
  .map((cuts) => {
    const [a = 0, b = 0, c = 0, d = 0] = cuts.toSorted((x, y) => x - y);
    return { provider: a, orchestrator: b - a, treasury: c - b, burn: d - c, stakers: 100 - d };
  });

describe("dividing a cost", () => {
  test("100 micros are divided as the split says", () => {
    expect(divideBySplit(100n, defaultSplit)).toEqual({
      provider: 70n,
      orchestrator: 10n,
      treasury: 10n,
      burn: 5n,
      stakers: 5n,
    });
  });

  test("a single micro goes to the largest remainder", () => {
    const parts = divideBySplit(1n, defaultSplit);
    expect(parts.provider).toBe(1n);
  });

  test("of equal remainders the party named first gets the micro", () => {
    const parts = divideBySplit(101n, { ...defaultSplit, provider: 0, orchestrator: 80 });
    expect(parts).toEqual({
      provider: 0n,
      orchestrator: 81n,
      treasury: 10n,
      burn: 5n,
      stakers: 5n,
    });
    const tied = divideBySplit(5n, { ...defaultSplit, provider: 0, orchestrator: 80 });
    expect(tied).toEqual({ provider: 0n, orchestrator: 4n, treasury: 1n, burn: 0n, stakers: 0n });
  });

  test("the parts add up to the total and each is within one micro of its exact part", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 18n }), split, (total, percent) => {
        const parts = divideBySplit(total, percent);
        let sum = 0n;
        for (const party of splitParties) {
          sum += parts[party];
          const distance = parts[party] * 100n - total * BigInt(percent[party]);
          expect(distance > -100n && distance < 100n).toBe(true);
        }
        expect(sum).toBe(total);
      }),
    );
  });

  test("a split that is not 100 percent, or a debt, is a bug", () => {
    expect(() => divideBySplit(1n, { ...defaultSplit, burn: 6 })).toThrow(/100, not 101/);
    expect(() => divideBySplit(-1n, defaultSplit)).toThrow(AssertionError);
  });
});

describe("credits for people", () => {
  test.each([
    [0n, "0"],
    [1n, "0.000001"],
    [1_234_567n, "1.234567"],
    [-1_500_000n, "-1.5"],
    [-1n, "-0.000001"],
    [MICROS_PER_CREDIT * 12n, "12"],
    [10n ** 30n, "1000000000000000000000000"],
  ])("%s micros are %s credits", (micros, text) => {
    expect(formatCredits(micros)).toBe(text);
  });
});

describe("credits that a person wrote", () => {
  test.each([
    ["5", 5_000_000n],
    ["0.25", 250_000n],
    ["0.000001", 1n],
    ["0", 0n],
    ["123456789012345.999999", 123_456_789_012_345_999_999n],
  ])("%s are %s micros, to the last", (text, micros) => {
    expect(parseCredits(text)).toBe(micros);
  });

  test.each(["", ".5", "5.", "-1", "+1", "1e3", "1_000", "1,5", "0.0000001", " 1", "1".repeat(16)])(
    "%j are none",
    (text) => {
      expect(parseCredits(text)).toBe(null);
    },
  );
});
