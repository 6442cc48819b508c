import { freemem } from "node:os";
import { readContainerLimits } from "./container.ts";
import type { Gpu } from "./gpu.ts";
import { readMachine } from "./machine.ts";
import { readNvidia } from "./nvidia.ts";

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

/** What is free of the main memory, within the limit of a container. */
export function freeMainBytes(): number {
  const limit = readContainerLimits().memoryBytes;
  const inLimit = limit === null ? Infinity : limit - process.memoryUsage.rss();
  return Math.max(0, Math.min(freemem(), inLimit));
}

function freeOnCards(gpus: readonly Gpu[]): number {
  return gpus.reduce((sum, one) => sum + (one.isUnified ? 0 : (one.freeBytes ?? 0)), 0);
}
