import { toneHz } from "./onnx-models.ts";

export interface WavForm {
  readonly rate: number;
  /** 16 bits where nothing is said. */
  readonly bits?: 8 | 16 | 24 | 32 | 64;
  readonly isFloat?: boolean;
  /** The longer header of 2001. */
  readonly isExtensible?: boolean;
}

/** A WAV file of channels of samples from -1 to 1. */
export function wavOf(channels: readonly (readonly number[])[], form: WavForm): Buffer {
  const { rate, bits = 16, isFloat = false, isExtensible = false } = form;
  const step = bits / 8;
  const frames = channels[0]?.length ?? 0;
  const data = Buffer.alloc(frames * channels.length * step);
  let at = 0;
  for (let frame = 0; frame < frames; frame++) {
    for (const channel of channels) {
      writeSample(data, at, { value: channel[frame] ?? 0, bits, isFloat });
      at += step;
    }
  }
  const tag = isFloat ? 3 : 1;
  const format = Buffer.alloc(isExtensible ? 40 : 16);
  format.writeUInt16LE(isExtensible ? 0xfffe : tag, 0);
  format.writeUInt16LE(channels.length, 2);
  format.writeUInt32LE(rate, 4);
  format.writeUInt32LE(rate * channels.length * step, 8);
  format.writeUInt16LE(channels.length * step, 12);
  format.writeUInt16LE(bits, 14);
  if (isExtensible) {
    format.writeUInt16LE(22, 16);
    format.writeUInt16LE(tag, 24);
  }
  const chunks = Buffer.concat([Buffer.from("WAVE"), chunk("fmt ", format), chunk("data", data)]);
  return chunk("RIFF", chunks);
}

/** One chunk of such a file. */
export function chunk(id: string, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.write(id, "latin1");
  head.writeUInt32LE(body.length, 4);
  return Buffer.concat([head, body, Buffer.alloc(body.length % 2)]);
}

/** Samples of a tone. */
export function tone(hz: number, form: { readonly rate: number; readonly seconds: number }) {
  return Array.from(
    { length: Math.round(form.rate * form.seconds) },
    (_, at) => 0.6 * Math.sin((2 * Math.PI * hz * at) / form.rate),
  );
}

/** A text as the listening model hears it: a tenth of a second each of its tone and of silence. */
export function spell(text: string, rate: number): number[] {
  const pause = Array.from({ length: Math.round(rate * 0.1) }, () => 0);
  return [...text].flatMap((letter) => {
    const hz = toneHz(letter === " " ? "|" : letter);
    return [...tone(hz, { rate, seconds: 0.1 }), ...pause];
  });
}

function writeSample(
  data: Buffer,
  at: number,
  { value, bits, isFloat }: { value: number; bits: number; isFloat: boolean },
): void {
  if (isFloat && bits === 64) data.writeDoubleLE(value, at);
  else if (isFloat) data.writeFloatLE(value, at);
  else if (bits === 8) data.writeUInt8(Math.round(value * 127) + 128, at);
  else data.writeIntLE(Math.round(value * (2 ** (bits - 1) - 1)), at, bits / 8);
}
