import { toBase64 } from "../../shared/crypto/bytes.ts";
import { toneWav } from "../../shared/wav.ts";

/** A red square of 64 × 64 pixels, a PNG: what no model can name without seeing it. */
export const redSquare =
  "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAAb0lEQVR4nO3PAQkAAAyEwO9feoshgnABdLep8QUNyP" +
  "EFDcjxBQ3I8QUNyPEFDcjxBQ3I8QUNyPEFDcjxBQ3I8QUNyPEFDcjxBQ3I8QUNyPEFDcjxBQ3I8QUNyPEFDcjxBQ3I" +
  "8QUNyPEFDcjxBQ3IPanc8OLDQitxAAAAAElFTkSuQmCC";

/** A second of silence as an MP3 file: frames of 32 kbit/s and 44.1 kHz whose body is empty. */
export function silentMp3(): string {
  const frame = Buffer.alloc(104);
  frame.set([0xff, 0xfb, 0x10, 0xc4]);
  return Buffer.concat(Array.from({ length: 40 }, () => frame)).toString("base64");
}

/** A second of silence as a WAV file. */
export function silence(): string {
  return toBase64(toneWav(1, 0));
}
