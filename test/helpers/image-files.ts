/** The heads of image files, in base64: as much as tells the size. */

export function pngFile(width: number, height: number): string {
  const bytes = Buffer.alloc(33);
  bytes.write("\x89PNG\r\n\x1a\n", 0, "latin1");
  bytes.writeUInt32BE(13, 8);
  bytes.write("IHDR", 12, "latin1");
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  return bytes.toString("base64");
}

/** A progressive JPEG, with a profile before its frame and a fill byte between. */
export function jpegFile(width: number, height: number): string {
  const profile = Buffer.alloc(40);
  profile.writeUInt16BE(0xff_e2, 0);
  profile.writeUInt16BE(38, 2);
  const frame = Buffer.alloc(19);
  frame.writeUInt16BE(0xff_c2, 0);
  frame.writeUInt16BE(17, 2);
  frame.writeUInt8(8, 4);
  frame.writeUInt16BE(height, 5);
  frame.writeUInt16BE(width, 7);
  return Buffer.concat([Buffer.from([0xff, 0xd8]), profile, Buffer.from([0xff]), frame]).toString(
    "base64",
  );
}

export function webpFile(chunk: "VP8 " | "VP8L" | "VP8X", width: number, height: number): string {
  const bytes = Buffer.alloc(36);
  bytes.write(`RIFF    WEBP${chunk}`, 0, "latin1");
  if (chunk === "VP8 ") {
    bytes.writeUInt16LE(width, 26);
    bytes.writeUInt16LE(height, 28);
  } else if (chunk === "VP8L") {
    bytes.writeUInt8(0x2f, 20);
    bytes.writeUInt32LE((width - 1) | ((height - 1) << 14), 21);
  } else {
    bytes.writeUIntLE(width - 1, 24, 3);
    bytes.writeUIntLE(height - 1, 27, 3);
  }
  return bytes.toString("base64");
}
