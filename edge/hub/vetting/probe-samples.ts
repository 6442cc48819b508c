import { toBase64 } from "../../../shared/crypto/bytes.ts";
import { toneWav } from "../../../shared/wav.ts";

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

/** A second of a tone as a WAV file, in base64. */
export function toneOf(hertz: number): string {
  return toBase64(toneWav(1, hertz));
}

/** The smallest size that diffusion servers commonly take. */
export const imageSizeSmall = "256x256";
