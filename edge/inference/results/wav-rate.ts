import type { Base64Bytes } from "./base64-bytes.ts";

/** Format tags of mmreg.h. */
const tags = { pcm: 1, float: 3, extensible: 0xfffe } as const;

/** More pieces before the sound than any recorder writes. */
const chunksMax = 256;

/**
 * Bytes a second of an uncompressed WAV file, computed from what a decoder goes by (the header's
 * own figure is for players, and may say anything); null for every other file. Of several formats
 * a decoder may go by any, so the slowest of them counts.
 */
export function wavBytesPerSecond(file: Base64Bytes): number | null {
  if (!file.has("RIFF", 0) || !file.has("WAVE", 8)) return null;
  let slowest: number | null = null;
  for (let at = 12, count = 0; at + 8 <= file.length && count < chunksMax; count++) {
    const size = file.uint32(at + 4);
    if (file.has("data", at)) return slowest;
    if (file.has("fmt ", at)) {
      const rate = formatRate(file, at + 8, size);
      if (rate === null) return null;
      slowest = Math.min(rate, slowest ?? rate);
    }
    // Chunks begin at even places.
    at += 8 + size + (size % 2);
  }
  return null;
}

/** Null where the sound is compressed, or is of what no decoder of ours takes. */
function formatRate(file: Base64Bytes, at: number, size: number): number | null {
  if (size < 16 || at + size > file.length) return null;
  const tag = file.uint16(at);
  // The extensible header keeps the real tag in the first bytes of a longer id.
  const kind = tag === tags.extensible && size >= 26 ? file.uint16(at + 24) : tag;
  const channels = file.uint16(at + 2);
  const samplesPerSecond = file.uint32(at + 4);
  const bits = file.uint16(at + 14);
  const widths = kind === tags.float ? [32, 64] : kind === tags.pcm ? [8, 16, 24, 32] : [];
  if (!widths.includes(bits) || channels < 1 || channels > 64) return null;
  if (samplesPerSecond < 1_000 || samplesPerSecond > 768_000) return null;
  return (channels * samplesPerSecond * bits) / 8;
}
