import { deflateSync } from "node:zlib";
import { crc32OfBytes } from "../../../shared/crypto/bytes.ts";

const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");

/**
 * A PNG file (ISO 15948) of one colour, the first three bytes of `seed`: a palette of one entry and
 * a bit a pixel, so that the largest size is made at once.
 */
export function solidPng(size: string, seed: Buffer): Buffer {
  const [width = 1, height = 1] = size.split("x").map(Number);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // One bit a pixel, colour by palette; compression, filter and interlace in their only usual form.
  header.set([1, 3, 0, 0, 0], 8);
  // Each row is a filter byte and its pixels.
  const rows = Buffer.alloc(height * (1 + Math.ceil(width / 8)));
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("PLTE", seed.subarray(0, 3)),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32OfBytes(body), body.length + 4);
  return framed;
}
