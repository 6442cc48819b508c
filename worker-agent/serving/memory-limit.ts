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
