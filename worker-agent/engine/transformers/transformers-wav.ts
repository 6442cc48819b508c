import { EngineError } from "../engine.ts";

/** Sound of one channel, from -1 to 1. */
export interface Sound {
  readonly samples: Float32Array;
  readonly rate: number;
}

/** What audio the engine reads. */
const audioFormats = "WAV with uncompressed samples (PCM of 8, 16, 24 or 32 bits, or float)";

/** Formats people send that are something else, by what their files hold at which byte. */
const otherFormats: readonly (readonly [string, number, string])[] = [
  ["ID3", 0, "MP3"],
  ["\u00ff\u00fb", 0, "MP3"],
  ["\u00ff\u00f3", 0, "MP3"],
  ["\u00ff\u00f2", 0, "MP3"],
  ["fLaC", 0, "FLAC"],
  ["OggS", 0, "Ogg"],
  ["ftyp", 4, "MP4"],
  ["\u001aE\u00df\u00a3", 0, "WebM"],
];

/** Writers that do not know the length in advance say this much. */
const unknownBytes = 0xffffffff;

/**
 * Reads a WAV file (RIFF, 1991, with the extensible header of 2001) and mixes its channels to one.
 * Throws EngineError `invalid_request` where it is none, or is cut off.
 */
export function readWav(bytes: Uint8Array): Sound {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(16, bytes.length));
  const start = head.toString("latin1");
  const other = otherFormats.find(([mark, at]) => start.startsWith(mark, at));
  if (other !== undefined) refuse(`it is ${other[2]}; this worker reads ${audioFormats}`);
  if (!start.startsWith("RIFF") || start.slice(8, 12) !== "WAVE") {
    refuse(`it is no audio file that this worker knows; it reads ${audioFormats}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let format: Format | null = null;
  for (let at = 12; at + 8 <= bytes.length;) {
    const id = String.fromCharCode(...bytes.subarray(at, at + 4));
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (id === "fmt ") format = readFormat(view, body, size);
    if (id === "data") {
      if (format === null) return refuse("its samples come before their format");
      const isOpen = size === unknownBytes || size === 0;
      const length = isOpen ? bytes.length - body : size;
      if (body + length > bytes.length) {
        refuse(`it is cut off: ${bytes.length - body} of ${length} bytes of sound are there`);
      }
      return { samples: mix(view, { body, length }, format), rate: format.rate };
    }
    // Chunks begin at even places.
    at = body + size + (size % 2);
  }
  return refuse("it is cut off: it has no sound");
}

interface Format {
  readonly isFloat: boolean;
  readonly channels: number;
  readonly rate: number;
  readonly bits: number;
}

/** Format tags of mmreg.h. */
const tags = { pcm: 1, float: 3, extensible: 0xfffe } as const;

function readFormat(view: DataView, at: number, size: number): Format {
  if (size < 16 || at + size > view.byteLength) refuse("it is cut off in its header");
  const tag = view.getUint16(at, true);
  // The extensible header keeps the real tag in the first bytes of a longer id.
  const kind = tag === tags.extensible && size >= 26 ? view.getUint16(at + 24, true) : tag;
  const channels = view.getUint16(at + 2, true);
  const rate = view.getUint32(at + 4, true);
  const bits = view.getUint16(at + 14, true);
  if (kind !== tags.pcm && kind !== tags.float) {
    refuse(`its samples are compressed (format ${kind}); this worker reads ${audioFormats}`);
  }
  const isFloat = kind === tags.float;
  const isKnown = isFloat ? [32, 64].includes(bits) : [8, 16, 24, 32].includes(bits);
  if (!isKnown) refuse(`it has samples of ${bits} bits; this worker reads ${audioFormats}`);
  if (channels < 1 || channels > 64) refuse(`it says that it has ${channels} channels`);
  if (rate < 1_000 || rate > 768_000) refuse(`it says that it has ${rate} samples a second`);
  return { isFloat, channels, rate, bits };
}

function mix(
  view: DataView,
  { body, length }: { readonly body: number; readonly length: number },
  { isFloat, channels, bits }: Format,
): Float32Array {
  const read = sampleReader(view, isFloat, bits);
  const bytes = bits / 8;
  const samples = new Float32Array(Math.floor(length / (bytes * channels)));
  let at = body;
  for (let index = 0; index < samples.length; index++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++, at += bytes) sum += read(at);
    const mean = sum / channels;
    if (!Number.isFinite(mean)) refuse(`its sample ${index} is no number`);
    samples[index] = mean;
  }
  return samples;
}

function sampleReader(view: DataView, isFloat: boolean, bits: number): (at: number) => number {
  if (isFloat) {
    return bits === 32 ? (at) => view.getFloat32(at, true) : (at) => view.getFloat64(at, true);
  }
  // Only samples of eight bits have no sign.
  if (bits === 8) return (at) => (view.getUint8(at) - 128) / 128;
  if (bits === 16) return (at) => view.getInt16(at, true) / 2 ** 15;
  if (bits === 32) return (at) => view.getInt32(at, true) / 2 ** 31;
  return (at) => (view.getUint8(at) + view.getInt16(at + 1, true) * 256) / 2 ** 23;
}

function refuse(reason: string): never {
  throw new EngineError("invalid_request", `Cannot read the audio file: ${reason}`);
}
