import type { HardwareTier } from "../../shared/protocol/listing.ts";

/*
 * Tiers by memory, in half-open intervals: below 24 GB consumer, below 80 GB prosumer, else
 * enterprise. GB are 10^9 bytes. A card never has quite what its name says in GiB, because its
 * driver and error correction keep some: an RTX 4090 has 24,564 MiB and an H100 81,559 MiB. In 10^9
 * bytes those are 25.8 and 85.5, and each card falls where its name puts it.
 */

const gigabyte = 1e9;
const prosumerBytes = 24 * gigabyte;
const enterpriseBytes = 80 * gigabyte;

/**
 * The tier of a machine whose graphics processors have so much memory together. Without any it is
 * consumer whatever its own memory: models run there at a tenth of the speed, and half a terabyte
 * of main memory is no H100.
 */
export function tierOf(gpuBytes: number): HardwareTier {
  if (gpuBytes < prosumerBytes) return "consumer";
  return gpuBytes < enterpriseBytes ? "prosumer" : "enterprise";
}
