import { crc32, deflateSync } from "node:zlib";

/** A red square of 64 × 64 pixels: what no model can name without seeing it. */
export function redSquare(): string {
  const side = 64;
  const row = Buffer.alloc(1 + side * 3);
  for (let at = 1; at < row.length; at += 3) row[at] = 255;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  // Eight bits a channel, three channels.
  header.set([8, 2], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const pixels = deflateSync(Buffer.concat(Array.from({ length: side }, () => row)));
  const file = [signature, piece("IHDR", header), piece("IDAT", pixels), piece("IEND")];
  return Buffer.concat(file).toString("base64");
}

/** A chunk of a PNG file (ISO/IEC 15948, section 5.3). */
function piece(type: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** A second of silence as a WAV file: 16 kHz, 16 bits, one channel. */
export function silence(): string {
  const bytes = 16_000 * 2;
  const head = Buffer.alloc(44);
  head.write("RIFF", 0, "latin1");
  head.writeUInt32LE(36 + bytes, 4);
  head.write("WAVEfmt ", 8, "latin1");
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(16_000, 24);
  head.writeUInt32LE(32_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36, "latin1");
  head.writeUInt32LE(bytes, 40);
  return Buffer.concat([head, Buffer.alloc(bytes)]).toString("base64");
}
