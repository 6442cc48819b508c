import type { Base64Bytes } from "./base64-bytes.ts";

/** Kilobits a second by their index (ISO 11172-3 and 13818-3, layer III). */
const bitrates = {
  first: [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  second: [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
} as const;
const samplesPerSecondOfFirst = [44_100, 48_000, 32_000];

/** Tags and padding between frames are small; more of what is no frame makes it no MP3 file. */
const strayBytesMax = 64 * 1024;

interface Mp3Frame {
  readonly bytes: number;
  readonly seconds: number;
  /** What stays the same from frame to frame. */
  readonly kind: number;
}

/**
 * The sound of an MP3 file by its own frames, each of which tells its length, and how many bytes
 * are in none; null where it is no MP3 file.
 */
export function mp3Length(file: Base64Bytes): { seconds: number; strayBytes: number } | null {
  let [seconds, strayBytes] = [0, 0];
  for (let at = tagBytes(file); at < file.length;) {
    const frame = frameAt(file, at);
    if (frame === null || !goesOn(file, at + frame.bytes, frame)) {
      strayBytes += 1;
      at += 1;
      if (strayBytes > strayBytesMax) return null;
      continue;
    }
    seconds += frame.seconds;
    at += frame.bytes;
  }
  return seconds === 0 ? null : { seconds, strayBytes };
}

/** ID3v2: what stands before the sound, pictures mostly; decoders leap over it. */
function tagBytes(file: Base64Bytes): number {
  if (!file.has("ID3", 0)) return 0;
  const footer = (file.byte(5) & 0x10) === 0 ? 0 : 10;
  // Seven bits a byte.
  const size = [6, 7, 8, 9].reduce((sum, at) => sum * 128 + (file.byte(at) & 0x7f), 0);
  return 10 + size + footer;
}

/** Two bytes look like a frame's beginning by chance: only what another frame follows is one. */
function goesOn(file: Base64Bytes, at: number, { kind }: Mp3Frame): boolean {
  return at >= file.length || frameAt(file, at)?.kind === kind || file.has("TAG", at);
}

function frameAt(file: Base64Bytes, at: number): Mp3Frame | null {
  if (file.byte(at) !== 0xff) return null;
  const [mark, coding] = [file.byte(at + 1), file.byte(at + 2)];
  const [version, layer] = [(mark >> 3) & 3, (mark >> 1) & 3];
  // Eleven bits set, a version there is, and layer III.
  if (mark >> 5 !== 7 || version === 1 || layer !== 1) return null;
  const isFirst = version === 3;
  const kilobits = bitrates[isFirst ? "first" : "second"][(coding >> 4) - 1];
  const rate = samplesPerSecondOfFirst[(coding >> 2) & 3];
  if (kilobits === undefined || rate === undefined) return null;
  const samplesPerSecond = isFirst ? rate : version === 2 ? rate / 2 : rate / 4;
  const samples = isFirst ? 1152 : 576;
  const padding = (coding >> 1) & 1;
  const bytes = Math.floor((samples / 8) * ((kilobits * 1000) / samplesPerSecond)) + padding;
  return { bytes, seconds: samples / samplesPerSecond, kind: (version << 2) | ((coding >> 2) & 3) };
}
