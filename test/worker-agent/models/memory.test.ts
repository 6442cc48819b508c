import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assertFits, memoryNeed, nearestFit } from "../../../worker-agent/models/memory.ts";

const MiB = 2 ** 20;
/** A model of 1000 MiB whose context takes 1 MiB for 1,024 tokens. */
const model = { weightBytes: 1000 * MiB, cacheBytesPerToken: 1024, vocabularySize: 32_768 };

describe("the memory a model needs", () => {
  test("is its weights, a cache for every slot, and what decoding takes", () => {
    const need = memoryNeed(model, { slots: 4, contextTokens: 4096 });
    expect(need).toEqual({
      weightBytes: 1000 * MiB,
      cacheBytes: 16 * MiB,
      overheadBytes: 128 * MiB,
      totalBytes: 1144 * MiB,
    });
  });

  test("passes where it is exactly what is free", () => {
    expect(() => assertFits(model, { slots: 4, contextTokens: 4096 }, 1144 * MiB)).not.toThrow();
  });

  test("is refused with the sum and fewer slots where those fit", () => {
    const shape = { slots: 4, contextTokens: 4096 };
    expect(() => assertFits(model, shape, 1140 * MiB)).toThrow(
      "Cannot load the model: it needs 1144 MiB of memory (1000 MiB for weights + 16 MiB for " +
        "4 slots of 4096 tokens + 128 MiB for decoding) and 1140 MiB are free; " +
        "use 3 slots of 4096 tokens",
    );
  });

  test("is refused with a shorter context where one slot is too much", () => {
    const shape = { slots: 4, contextTokens: 4096 };
    expect(() => assertFits(model, shape, 1130 * MiB)).toThrow("use 1 slot of 2048 tokens");
  });

  test("is refused without advice where the weights alone are too much", () => {
    const shape = { slots: 1, contextTokens: 512 };
    expect(() => assertFits(model, shape, 500 * MiB)).toThrow("choose a smaller model");
  });

  test("what is proposed always fits, and is never more than was asked", () => {
    const sizes = fc.record({
      weightBytes: fc.nat(2 ** 31),
      cacheBytesPerToken: fc.nat(2 ** 20),
      vocabularySize: fc.nat(300_000),
    });
    const shapes = fc.record({
      slots: fc.integer({ min: 1, max: 64 }),
      contextTokens: fc.integer({ min: 256, max: 131_072 }),
    });
    fc.assert(
      fc.property(sizes, shapes, fc.nat(2 ** 31), (size, shape, free) => {
        const fit = nearestFit(size, shape, free);
        if (fit === null) return;
        expect(memoryNeed(size, fit).totalBytes).toBeLessThanOrEqual(free);
        expect(fit.slots).toBeLessThanOrEqual(shape.slots);
        expect(fit.contextTokens).toBeLessThanOrEqual(shape.contextTokens);
      }),
    );
  });
});
