import { toBase64 } from "../../../shared/crypto/bytes.ts";

/** Small inputs that every engine of a kind must take. */

/** A red square of 64 × 64 pixels: some vision models take nothing below 28 a side. */
export const redSquarePng =
  "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAAT0lEQVR42u3PQQkAAAgEsIty/dMYyQi+hcEKLNO+Fg" +
  "EBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQGBywI6LQEAwyG+sAAAAABJRU5ErkJg" +
  "gg==";

/** Words that every tokenizer we know has as one token each, after a space. */
const plainWords = (
  "the of and to in is for on that with as was by at from it an be this are or not have has " +
  "had but all one new more time when who will can out up first two over made some into only"
).split(" ");

/** `count` plain words drawn by chance, so that no two probes are alike. */
export function passage(count: number, random: () => number): string {
  const words = Array.from(
    { length: count },
    () => plainWords[Math.floor(random() * plainWords.length)] ?? "the",
  );
  return words.join(" ");
}

const sampleRate = 16_000;

/** A second of a tone as a WAV file (RIFF, 16-bit PCM, mono), in base64. */
export function toneWav(hertz: number): string {
  const bytes = new Uint8Array(44 + sampleRate * 2);
  const view = new DataView(bytes.buffer);
  const ascii = (at: number, text: string) => {
    for (let i = 0; i < text.length; i++) view.setUint8(at + i, text.charCodeAt(i));
  };
  ascii(0, "RIFF");
  view.setUint32(4, bytes.length - 8, true);
  ascii(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  ascii(36, "data");
  view.setUint32(40, sampleRate * 2, true);
  for (let i = 0; i < sampleRate; i++) {
    const value = Math.sin((2 * Math.PI * hertz * i) / sampleRate);
    view.setInt16(44 + i * 2, Math.round(value * 8_000), true);
  }
  return toBase64(bytes);
}

/** The smallest size that diffusion servers commonly take. */
export const imageSizeSmall = "256x256";
