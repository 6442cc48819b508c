/**
 * The lowest rate at which speech is kept in formats people send: Opus goes down to 6 kbit/s (RFC
 * 6716, section 2.1.1), MP3 to 8.
 */
const bytesPerSecondLeast = 750;

/** As much of a file as holds the header of every WAV without a picture in front. */
const headerBytes = 4096;

/** Uncompressed sound: whole numbers, floats, and either of them in the newer header. */
const pcmFormats: ReadonlySet<number> = new Set([1, 3, 0xfffe]);

/**
 * At most how many seconds of sound a file (as base64) holds: exactly for uncompressed WAV files,
 * whose header tells the rate; for all others what the lowest sensible rate would make of their
 * size.
 */
export function audioSeconds(base64: string): number {
  const bytes = Math.floor((base64.length * 3) / 4);
  const rate = Math.max(
    bytesPerSecondLeast,
    wavBytesPerSecond(firstBytes(base64, headerBytes)) ?? 0,
  );
  return bytes / rate;
}

/** The first bytes of base64 text. */
function firstBytes(base64: string, count: number): Uint8Array {
  const text = base64.slice(0, Math.ceil(count / 3) * 4);
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/**
 * Bytes a second of an uncompressed WAV file, computed from what a decoder goes by (the header's
 * own figure is for players, and may say anything); null for every other file.
 */
function wavBytesPerSecond(bytes: Uint8Array): number | null {
  if (textAt(bytes, 0) !== "RIFF" || textAt(bytes, 8) !== "WAVE") return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 24 <= bytes.length;) {
    const size = view.getUint32(at + 4, true);
    if (textAt(bytes, at) === "fmt ") {
      if (!pcmFormats.has(view.getUint16(at + 8, true))) return null;
      const channels = view.getUint16(at + 10, true);
      const samplesPerSecond = view.getUint32(at + 12, true);
      const bits = view.getUint16(at + 22, true);
      const rate = (channels * samplesPerSecond * bits) / 8;
      return rate > 0 ? rate : null;
    }
    // Chunks begin at even places.
    at += 8 + size + (size % 2);
  }
  return null;
}

function textAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
