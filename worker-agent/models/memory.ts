import type { GgufFile } from "./gguf.ts";
import { ModelError } from "./model-error.ts";

/** llama.cpp's tokenizer, graph and scratch memory for a small model. */
const fixedBytes = 64 * 2 ** 20;
/** The batch that llama.cpp reserves logits and activations for. */
const batchTokens = 512;
/** The mask of a batch over the context, once in 32-bit floats and once in 16-bit ones. */
const maskBytes = 6;
/** Contexts smaller than this serve nobody, so none is proposed. */
const contextLeast = 256;
/** llama.cpp rounds every cache up to this many tokens. */
const cacheStep = 256;

export interface Shape {
  readonly slots: number;
  /** Tokens of context each slot has. */
  readonly contextTokens: number;
}

export interface MemoryNeed {
  readonly weightBytes: number;
  readonly cacheBytes: number;
  readonly overheadBytes: number;
  readonly totalBytes: number;
}

export type ModelSize = Pick<
  GgufFile,
  "weightBytes" | "cache" | "vocabularySize" | "graphBytesPerToken"
>;

/**
 * Memory a model takes when served: weights, a cache of 16-bit floats for every slot, and what
 * decoding itself needs.
 */
export function memoryNeed(model: ModelSize, shape: Shape): MemoryNeed {
  const { slots } = shape;
  const contextTokens = Math.ceil(shape.contextTokens / cacheStep) * cacheStep;
  const cacheBytes = slots * cacheBytesPerSlot(model.cache, contextTokens);
  const perToken = 4 * model.vocabularySize + model.graphBytesPerToken;
  const overheadBytes = fixedBytes + batchTokens * (perToken + maskBytes * contextTokens);
  const totalBytes = model.weightBytes + cacheBytes + overheadBytes;
  return { weightBytes: model.weightBytes, cacheBytes, overheadBytes, totalBytes };
}

/** Layers with a window keep that, and the batch that slides into it. */
function cacheBytesPerSlot(cache: GgufFile["cache"], contextTokens: number): number {
  const whole = cache.windowTokens + batchTokens;
  const windowTokens = Math.min(contextTokens, Math.ceil(whole / cacheStep) * cacheStep);
  return (
    cache.bytesPerToken * contextTokens +
    cache.windowBytesPerToken * windowTokens +
    cache.stateBytesPerSlot
  );
}

/**
 * Throws ModelError `does_not_fit` where `shape` needs more than `freeBytes`; its sentence has the
 * sum and the nearest shape that fits: first fewer slots, then a shorter context. `otherAdvice` is
 * what else would help, as words that follow "or".
 */
export function assertFits(
  model: ModelSize,
  shape: Shape,
  freeBytes: number,
  otherAdvice: string | null = null,
): void {
  const need = memoryNeed(model, shape);
  if (need.totalBytes <= freeBytes) return;
  const nearest = nearestFit(model, shape, freeBytes);
  const smaller = otherAdvice ?? "choose a smaller model";
  const advice =
    nearest === null
      ? smaller
      : `use ${shapeInWords(nearest)}${otherAdvice === null ? "" : `, or ${otherAdvice}`}`;
  throw new ModelError(
    "does_not_fit",
    `Cannot load the model: it needs ${needInWords(need, shape)} and ` +
      `${inMebibytes(freeBytes)} are free; ${advice}`,
  );
}

/** A need with the sum it is made of. */
export function needInWords(need: MemoryNeed, shape: Shape): string {
  return (
    `${inMebibytes(need.totalBytes)} of memory (${inMebibytes(need.weightBytes)} for weights + ` +
    `${inMebibytes(need.cacheBytes)} for ${shapeInWords(shape)} + ` +
    `${inMebibytes(need.overheadBytes)} for decoding)`
  );
}

/** The largest shape within `shape` that fits, or null where none does. */
export function nearestFit(model: ModelSize, shape: Shape, freeBytes: number): Shape | null {
  const fits = (slots: number, contextTokens: number) =>
    memoryNeed(model, { slots, contextTokens }).totalBytes <= freeBytes;
  const { contextTokens } = shape;
  const slots = largest(shape.slots, (count) => fits(count, contextTokens));
  if (slots >= 1) return { slots, contextTokens };
  const steps = largest(Math.floor(contextTokens / contextLeast), (count) =>
    fits(1, count * contextLeast),
  );
  return steps >= 1 ? { slots: 1, contextTokens: steps * contextLeast } : null;
}

/** The largest whole number up to `most` that passes, where all smaller ones pass too; else 0. */
function largest(most: number, passes: (count: number) => boolean): number {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (passes(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function shapeInWords({ slots, contextTokens }: Shape): string {
  return `${slots === 1 ? "1 slot" : `${slots} slots`} of ${contextTokens} tokens`;
}

export function inMebibytes(bytes: number): string {
  return `${Math.ceil(Math.max(0, bytes) / 2 ** 20)} MiB`;
}
