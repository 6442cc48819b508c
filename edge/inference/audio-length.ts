import { Base64Bytes } from "./base64-bytes.ts";
import { wavBytesPerSecond } from "./wav-rate.ts";

/**
 * The lowest rate at which speech is kept in formats people send: Opus goes down to 6 kbit/s (RFC
 * 6716, section 2.1.1), MP3 to 8.
 */
const bytesPerSecondLeast = 750;

/**
 * At most how many seconds of sound a file (as base64) holds: exactly for uncompressed WAV files,
 * whose header tells the rate; for all others what the lowest sensible rate would make of their
 * size.
 */
export function audioSeconds(base64: string): number {
  const file = new Base64Bytes(base64);
  return file.length / Math.max(bytesPerSecondLeast, wavBytesPerSecond(file) ?? 0);
}
