import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assertFits, memoryNeed, nearestFit } from "../../../worker-agent/models/memory.ts";

const MiB = 2 ** 20;
/** A model of 1000 MiB whose context takes 1 MiB for 1,024 tokens. */
const cache = {
  bytesPerToken: 1024,
  windowTokens: 0,
  windowBytesPerToken: 0,
  stateBytesPerSlot: 0,
};
const model = {
  weightBytes: 1000 * MiB,
  cache,
  vocabularySize: 32_768,
  graphBytesPerToken: 0,
};

describe("the memory a model needs", () => {
  test("is its weights, a cache for every slot, and what decoding takes", () => {
    const need = memoryNeed(model, { slots: 4, contextTokens: 4096 });
    expect(need).toEqual({
      weightBytes: 1000 * MiB,
      cacheBytes: 16 * MiB,
      // 64 fixed, 64 for the logits of 512 tokens, 12 for their mask over the context.
      overheadBytes: 140 * MiB,
      totalBytes: 1156 * MiB,
    });
  });

  test("passes where it is exactly what is free", () => {
    expect(() => assertFits(model, { slots: 4, contextTokens: 4096 }, 1156 * MiB)).not.toThrow();
  });

  test("is refused with the sum and fewer slots where those fit", () => {
    const shape = { slots: 4, contextTokens: 4096 };
    expect(() => assertFits(model, shape, 1153 * MiB)).toThrow(
      "Cannot load the model: it needs 1156 MiB of memory (1000 MiB for weights + 16 MiB for " +
        "4 slots of 4096 tokens + 140 MiB for decoding) and 1153 MiB are free; " +
        "use 3 slots of 4096 tokens",
    );
  });

  test("is refused with a shorter context where one slot is too much", () => {
    const shape = { slots: 4, contextTokens: 4096 };
    expect(() => assertFits(model, shape, 1136 * MiB)).toThrow("use 1 slot of 2048 tokens");
  });

  test("is refused without advice where the weights alone are too much", () => {
    const shape = { slots: 1, contextTokens: 512 };
    expect(() => assertFits(model, shape, 500 * MiB)).toThrow("choose a smaller model");
  });

  test("what is proposed always fits, and is never more than was asked", () => {
    const sizes = fc.record({
      weightBytes: fc.nat(2 ** 31),
      cache: fc.record({
        bytesPerToken: fc.nat(2 ** 20),
        windowTokens: fc.nat(8192),
        windowBytesPerToken: fc.nat(2 ** 20),
        stateBytesPerSlot: fc.nat(2 ** 24),
      }),
      graphBytesPerToken: fc.nat(2 ** 18),
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

  test("a window keeps itself and a batch, however long the context, and a state is a slot's", () => {
    const windowed = { windowTokens: 1024, windowBytesPerToken: 1024, stateBytesPerSlot: MiB };
    const own = { ...model, cache: { ...windowed, bytesPerToken: 0 } };
    const cacheOf = (contextTokens: number) =>
      memoryNeed(own, { slots: 2, contextTokens }).cacheBytes;
    expect(cacheOf(100_000)).toBe(2 * (1536 * 1024 + MiB));
    expect(cacheOf(512)).toBe(2 * (512 * 1024 + MiB));
  });

  test("other advice is given beside the nearest shape", () => {
    const shape = { slots: 4, contextTokens: 4096 };
    const fit = () => assertFits(model, shape, 1153 * MiB, "take Q4_K_M (500 MiB)");
    expect(fit).toThrow("use 3 slots of 4096 tokens, or take Q4_K_M (500 MiB)");
  });
});
