import { utf8 } from "./crypto/bytes.ts";

/** What a WAV file of one channel is made of: numbers of so many bits, so many a second. */
export interface WavForm {
  readonly samplesPerS: number;
  readonly bits: 8 | 16;
}

/** What speech models want. */
const speechForm: WavForm = { samplesPerS: 16_000, bits: 16 };
/** A quarter of the loudest: heard, and far from being cut. */
const toneHeight = 8_000;

/**
 * A WAV file (RIFF, 1991) of one channel. `samples` are its numbers as the file has them:
 * little-endian, with a sign from 16 bits on.
 */
export function wavFile(samples: Uint8Array, form: WavForm): Uint8Array<ArrayBuffer> {
  const { samplesPerS, bits } = form;
  const bytes = new Uint8Array(44 + samples.length);
  const view = new DataView(bytes.buffer);
  bytes.set(utf8("RIFF"), 0);
  view.setUint32(4, bytes.length - 8, true);
  bytes.set(utf8("WAVEfmt "), 8);
  view.setUint32(16, 16, true);
  // Whole numbers, one channel.
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, samplesPerS, true);
  view.setUint32(28, (samplesPerS * bits) / 8, true);
  view.setUint16(32, bits / 8, true);
  view.setUint16(34, bits, true);
  bytes.set(utf8("data"), 36);
  view.setUint32(40, samples.length, true);
  bytes.set(samples, 44);
  return bytes;
}

/** A tone of whole seconds in the form that speech models want; of 0 Hz it is silence. */
export function toneWav(seconds: number, hertz: number): Uint8Array<ArrayBuffer> {
  const { samplesPerS } = speechForm;
  const samples = new DataView(new ArrayBuffer(2 * seconds * samplesPerS));
  for (let at = 0; at < seconds * samplesPerS; at++) {
    const value = Math.sin((2 * Math.PI * hertz * at) / samplesPerS);
    samples.setInt16(2 * at, Math.round(toneHeight * value), true);
  }
  return wavFile(new Uint8Array(samples.buffer), speechForm);
}
