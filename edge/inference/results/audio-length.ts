import { Base64Bytes } from "./base64-bytes.ts";
import { mp3Length } from "./mp3-length.ts";
import { opusSeconds } from "./opus-length.ts";
import { wavBytesPerSecond } from "./wav-rate.ts";

/**
 * The lowest rate at which speech is kept in formats people send: Opus goes down to 6 kbit/s (RFC
 * 6716, section 2.1.1), MP3 to 8.
 */
const bytesPerSecondLeast = 750;

/**
 * At most how many seconds of sound a file (as base64) holds: exactly for uncompressed WAV, for MP3
 * and for Opus in Ogg, whose bytes tell; for all others what the lowest sensible rate would make of
 * their size.
 */
export function audioSeconds(base64: string): number {
  const file = new Base64Bytes(base64);
  return Math.min(file.length / bytesPerSecondLeast, readSeconds(file) ?? Infinity);
}

function readSeconds(file: Base64Bytes): number | null {
  const rate = wavBytesPerSecond(file);
  if (rate !== null) return file.length / rate;
  const mp3 = mp3Length(file);
  // A decoder may make something of the bytes that are in no frame.
  if (mp3 !== null) return mp3.seconds + mp3.strayBytes / bytesPerSecondLeast;
  return opusSeconds(file);
}
