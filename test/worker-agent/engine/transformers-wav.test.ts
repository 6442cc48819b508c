import { describe, expect, test } from "vitest";
import { resample } from "../../../worker-agent/engine/transformers/transformers-resample.ts";
import { readWav } from "../../../worker-agent/engine/transformers/transformers-wav.ts";
import { chunk, tone, type WavForm, wavOf } from "../../helpers/sounds.ts";

const samples = [0, 0.5, -0.5, 1, -1, 0.25];

describe("a WAV file", () => {
  const forms: readonly (readonly [string, WavForm, number])[] = [
    ["8 bits", { rate: 8_000, bits: 8 }, 1 / 100],
    ["16 bits", { rate: 16_000 }, 1 / 30_000],
    ["24 bits", { rate: 44_100, bits: 24 }, 1e-6],
    ["32 bits", { rate: 48_000, bits: 32 }, 1e-6],
    ["floats", { rate: 16_000, bits: 32, isFloat: true }, 1e-7],
    ["long floats", { rate: 96_000, bits: 64, isFloat: true }, 1e-7],
    ["the longer header", { rate: 16_000, bits: 24, isExtensible: true }, 1e-6],
  ];
  test.each(forms)("with %s is read", (_name, form, error) => {
    const sound = readWav(wavOf([samples], form));
    expect(sound.rate).toBe(form.rate);
    expect(sound.samples).toHaveLength(samples.length);
    for (const [at, value] of samples.entries()) {
      expect(Math.abs((sound.samples[at] ?? 9) - value)).toBeLessThanOrEqual(error);
    }
  });

  test("with two channels becomes their mean", () => {
    const form = { rate: 16_000, bits: 32, isFloat: true } as const;
    const file = wavOf([samples, samples.map((value) => value / 2)], form);
    expect([...readWav(file).samples]).toEqual(samples.map((value) => 0.75 * value));
  });

  test("of a writer that did not know its length ends where the file ends", () => {
    const file = wavOf([samples], { rate: 16_000 });
    file.writeUInt32LE(0xffffffff, file.indexOf("data") + 4);
    expect(readWav(file).samples).toHaveLength(samples.length);
  });

  test("with other chunks before its sound is read", () => {
    const file = wavOf([samples], { rate: 16_000 });
    const odd = chunk("LIST", Buffer.from("abc"));
    const whole = Buffer.concat([file.subarray(0, 12), odd, file.subarray(12)]);
    expect(readWav(whole).samples).toHaveLength(samples.length);
  });

  const good = wavOf([samples], { rate: 16_000 });
  const at = good.indexOf("data");
  const changed = (offset: number, value: number): Buffer => {
    const file = Buffer.from(good);
    file.writeUInt16LE(value, offset);
    return file;
  };
  test.each([
    ["nothing", Buffer.alloc(0), "it is no audio file that this worker knows; it reads WAV"],
    ["some text", Buffer.from("hello, this is text"), "it is no audio file"],
    [
      "an MP3",
      Buffer.from("ID3\u0004\0\0\0\0\0\0\0\0\0\0\0\0"),
      "it is MP3; this worker reads WAV",
    ],
    ["a FLAC", Buffer.from("fLaC\0\0\0\u0022\0\0\0\0\0\0\0\0"), "it is FLAC; this worker"],
    ["an M4A", Buffer.from("\0\0\0\u0020ftypM4A \0\0\0\0"), "it is MP4; this worker"],
    ["half of its sound", good.subarray(0, at + 14), "it is cut off: 6 of 12 bytes of sound"],
    ["no sound", good.subarray(0, at), "it is cut off: it has no sound"],
    ["half a header", good.subarray(0, 24), "it is cut off in its header"],
    ["compressed samples", changed(20, 2), "its samples are compressed (format 2)"],
    ["samples of 12 bits", changed(34, 12), "it has samples of 12 bits"],
    ["no channel", changed(22, 0), "it says that it has 0 channels"],
    ["no rate", changed(24, 0), "it says that it has 0 samples a second"],
    [
      "samples that are no numbers",
      wavOf([[Number.NaN]], { rate: 16_000, bits: 32, isFloat: true }),
      "its sample 0 is no number",
    ],
  ])("with %s is refused", (_name, file, reason) => {
    const read = (): unknown => readWav(file);
    expect(read).toThrow(`Cannot read the audio file: ${reason}`);
    expect(read).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });
});

describe("another rate", () => {
  /** The strength of a tone in a sound, by its product with the tone. */
  function strength(sound: Float32Array, hz: number, rate: number): number {
    let [re, im] = [0, 0];
    for (const [index, value] of sound.entries()) {
      re += value * Math.cos((2 * Math.PI * hz * index) / rate);
      im += value * Math.sin((2 * Math.PI * hz * index) / rate);
    }
    return (2 * Math.hypot(re, im)) / sound.length;
  }

  test.each([8_000, 11_025, 22_050, 44_100, 48_000])("%i keeps a tone of speech", (rate) => {
    const sound = { samples: Float32Array.from(tone(1_000, { rate, seconds: 1 })), rate };
    const made = resample(sound, 16_000);
    expect(made).toHaveLength(16_000);
    expect(strength(made, 1_000, 16_000)).toBeCloseTo(0.6, 2);
  });

  test("what is above the new rate's half does not fold back", () => {
    const rate = 48_000;
    const sound = { samples: Float32Array.from(tone(15_000, { rate, seconds: 1 })), rate };
    // 15 kHz sampled at 16 kHz without a filter would be heard at 1 kHz.
    expect(strength(resample(sound, 16_000), 1_000, 16_000)).toBeLessThan(0.001);
  });

  test("the same rate is the same sound", () => {
    const sound = { samples: Float32Array.from(samples), rate: 16_000 };
    expect(resample(sound, 16_000)).toBe(sound.samples);
  });
});
