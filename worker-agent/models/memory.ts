import type { GgufFile } from "./gguf.ts";
import { ModelError } from "./model-error.ts";

/** llama.cpp's graph, tokenizer and scratch memory for a small model. */
const fixedBytes = 64 * 2 ** 20;
/** The batch whose logits llama.cpp reserves memory for, as 32-bit floats. */
const batchTokens = 512;
/** Contexts smaller than this serve nobody, so none is proposed. */
const contextLeast = 256;

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

type ModelSize = Pick<GgufFile, "weightBytes" | "cacheBytesPerToken" | "vocabularySize">;

/**
 * Memory a model takes when served: weights, a cache of 16-bit floats for every slot, and what
 * decoding itself needs.
 */
export function memoryNeed(model: ModelSize, shape: Shape): MemoryNeed {
  const cacheBytes = shape.slots * shape.contextTokens * model.cacheBytesPerToken;
  const overheadBytes = fixedBytes + batchTokens * model.vocabularySize * 4;
  const totalBytes = model.weightBytes + cacheBytes + overheadBytes;
  return { weightBytes: model.weightBytes, cacheBytes, overheadBytes, totalBytes };
}

/**
 * Throws ModelError `does_not_fit` where `shape` needs more than `freeBytes`; its sentence has the
 * sum and the nearest shape that fits: first fewer slots, then a shorter context.
 */
export function assertFits(model: ModelSize, shape: Shape, freeBytes: number): void {
  const need = memoryNeed(model, shape);
  if (need.totalBytes <= freeBytes) return;
  const { slots, contextTokens } = shape;
  const sum =
    `${inMebibytes(need.weightBytes)} for weights + ${inMebibytes(need.cacheBytes)} for ` +
    `${slotsInWords(slots)} of ${contextTokens} tokens + ` +
    `${inMebibytes(need.overheadBytes)} for decoding`;
  const nearest = nearestFit(model, shape, freeBytes);
  const advice =
    nearest === null
      ? "choose a smaller model"
      : `use ${slotsInWords(nearest.slots)} of ${nearest.contextTokens} tokens`;
  throw new ModelError(
    "does_not_fit",
    `Cannot load the model: it needs ${inMebibytes(need.totalBytes)} of memory (${sum}) and ` +
      `${inMebibytes(freeBytes)} are free; ${advice}`,
  );
}

/** The largest shape within `shape` that fits, or null where none does. */
export function nearestFit(model: ModelSize, shape: Shape, freeBytes: number): Shape | null {
  const room = freeBytes - memoryNeed(model, { slots: 0, contextTokens: 0 }).totalBytes;
  const tokens = Math.floor(room / Math.max(1, model.cacheBytesPerToken));
  const slots = Math.min(shape.slots, Math.floor(tokens / shape.contextTokens));
  if (slots >= 1) return { slots, contextTokens: shape.contextTokens };
  const contextTokens = Math.floor(tokens / contextLeast) * contextLeast;
  return contextTokens >= contextLeast ? { slots: 1, contextTokens } : null;
}

function slotsInWords(slots: number): string {
  return slots === 1 ? "1 slot" : `${slots} slots`;
}

function inMebibytes(bytes: number): string {
  return `${Math.ceil(Math.max(0, bytes) / 2 ** 20)} MiB`;
}
