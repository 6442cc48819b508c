import type { Base64Bytes } from "./base64-bytes.ts";

/** Milliseconds of a frame by the four lowest configurations of each coding (RFC 6716, 3.1). */
const speechMs = [10, 20, 40, 60];
const hybridMs = [10, 20, 10, 20];
const musicMs = [2.5, 5, 10, 20];

const pageHeadBytes = 27;

/**
 * Seconds of sound in an Ogg file of Opus (RFC 3533, RFC 7845) by its own packets, each of which
 * tells its length; null for every other file, and where it holds anything beside its one stream.
 */
export function opusSeconds(file: Base64Bytes): number | null {
  let [ms, packets] = [0, 0];
  let isContinued = false;
  for (let at = 0; at < file.length;) {
    if (!file.has("OggS", at) || file.uint32(at + 14) !== file.uint32(14)) return null;
    const segments = file.byte(at + 26);
    let place = at + pageHeadBytes + segments;
    for (let segment = 0; segment < segments; segment++) {
      const bytes = file.byte(at + pageHeadBytes + segment);
      if (!isContinued) {
        if (packets === 0 && !file.has("OpusHead", place)) return null;
        // The first two packets tell what the stream is.
        if (packets >= 2 && bytes > 0) ms += packetMs(file.byte(place), file.byte(place + 1));
        packets += 1;
      }
      // A packet of more than 255 bytes goes on in the next segment.
      isContinued = bytes === 255;
      place += bytes;
    }
    at = place;
  }
  return packets > 2 ? ms / 1000 : null;
}

function packetMs(toc: number, next: number): number {
  const configuration = toc >> 3;
  const table = configuration < 12 ? speechMs : configuration < 16 ? hybridMs : musicMs;
  const code = toc & 3;
  const frames = code === 0 ? 1 : code === 3 ? next & 0x3f : 2;
  return (table[configuration % 4] ?? 0) * frames;
}
