import { freemem } from "node:os";
import { readContainerLimits } from "../hardware/container.ts";
import { readMachine } from "../hardware/machine.ts";

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

/**
 * What is free of this machine's memory, within the limit of a container, and of its cards' own
 * memory where they are to be used: llama.cpp fills the cards first and puts the rest beside them.
 */
export async function readFreeBytes(gpu: "auto" | "none"): Promise<number> {
  const limit = readContainerLimits().memoryBytes;
  const inLimit = limit === null ? Infinity : limit - process.memoryUsage.rss();
  const main = Math.max(0, Math.min(freemem(), inLimit));
  if (gpu === "none") return main;
  const { gpus } = await readMachine();
  return gpus.reduce((sum, one) => sum + (one.isUnified ? 0 : (one.freeBytes ?? 0)), main);
}
