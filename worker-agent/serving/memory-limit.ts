import { freemem } from "node:os";
import { readContainerLimits } from "../hardware/container.ts";
import type { Gpu } from "../hardware/gpu.ts";
import { readMachine } from "../hardware/machine.ts";
import { readNvidia } from "../hardware/nvidia.ts";

/** How much memory models may take: a share of what is free at each load, or so many bytes. */
export type MemoryLimit =
  | { readonly kind: "share"; readonly percent: number }
  /** Of all models together. */
  | { readonly kind: "bytes"; readonly bytes: number };

/** Whatever the limit, so much of what is free stays free: a full machine helps nobody. */
const freePercentMost = 95;

/**
 * The bytes that one more model may take, where `freeBytes` are free and other models hold
 * `heldBytes`.
 */
export function memoryAllowance(limit: MemoryLimit, freeBytes: number, heldBytes: number): number {
  const most = Math.floor((freeBytes * freePercentMost) / 100);
  switch (limit.kind) {
    case "share":
      return Math.min(most, Math.floor((freeBytes * limit.percent) / 100));
    case "bytes":
      return Math.max(0, Math.min(most, limit.bytes - heldBytes));
  }
}

/** What is free of this machine's memory, and of its cards' own where they are to be used. */
export async function readFreeBytes(gpu: "auto" | "none"): Promise<number> {
  if (gpu === "none") return freeMainBytes();
  return freeMainBytes() + freeOnCards((await readMachine()).gpus);
}

/**
 * Reads what is free again and again. Whoever waits for a model waits for this as well, so that
 * after the first look only those are asked which tell something that changes.
 */
export class FreeMemory {
  readonly #gpu: "auto" | "none";
  readonly #cards: "none" | "nvidia" | "any";

  private constructor(gpu: "auto" | "none", cards: "none" | "nvidia" | "any") {
    this.#gpu = gpu;
    this.#cards = cards;
  }

  /** Looks at the cards for the first time. */
  static async start(gpu: "auto" | "none"): Promise<FreeMemory> {
    if (gpu === "none") return new FreeMemory(gpu, "none");
    const { gpus, faults } = await readMachine();
    // A card that failed just now may tell later.
    if (faults.length > 0) return new FreeMemory(gpu, "any");
    const telling = gpus.filter(({ isUnified, freeBytes }) => !isUnified && freeBytes !== null);
    const isNvidia = telling.every(({ vendor }) => vendor === "nvidia");
    return new FreeMemory(gpu, telling.length === 0 ? "none" : isNvidia ? "nvidia" : "any");
  }

  /** llama.cpp fills the cards first and puts the rest beside them. */
  async read(gpu: "auto" | "none"): Promise<number> {
    const cards = gpu === "none" ? "none" : this.#cards;
    switch (cards) {
      case "none":
        return freeMainBytes();
      case "nvidia":
        return freeMainBytes() + freeOnCards((await readNvidia()).gpus);
      case "any":
        return readFreeBytes(this.#gpu);
    }
  }
}

/** Within the limit of a container. */
function freeMainBytes(): number {
  const limit = readContainerLimits().memoryBytes;
  const inLimit = limit === null ? Infinity : limit - process.memoryUsage.rss();
  return Math.max(0, Math.min(freemem(), inLimit));
}

function freeOnCards(gpus: readonly Gpu[]): number {
  return gpus.reduce((sum, one) => sum + (one.isUnified ? 0 : (one.freeBytes ?? 0)), 0);
}
