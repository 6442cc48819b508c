import { wavFile as wavOf } from "../../shared/wav.ts";

/** A WAV file of so many seconds of silence: one channel, 8 bits, 1,000 samples a second. */
export function wavFile(seconds: number, samplesPerS = 1_000): Buffer<ArrayBuffer> {
  const samples = Buffer.alloc(Math.round(seconds * samplesPerS), 128);
  return Buffer.from(wavOf(samples, { samplesPerS, bits: 8 }));
}
