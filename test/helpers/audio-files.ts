/** An MP3 file of so many frames of silence at 128 kbit/s and 44.1 kHz (417 bytes, 26 ms each). */
export function mp3File(frames: number): Buffer<ArrayBuffer> {
  const frame = Buffer.alloc(417);
  frame.set([0xff, 0xfb, 0x90, 0xc4]);
  return Buffer.concat(Array.from({ length: frames }, () => frame));
}

/** What stands before the sound of an MP3 file: a tag of so many bytes. */
export function id3Tag(bytes: number): Buffer<ArrayBuffer> {
  const tag = Buffer.alloc(10 + bytes, 0xfb);
  tag.write("ID3\x04\0\0", 0, "latin1");
  for (const [index, shift] of [21, 14, 7, 0].entries()) tag[6 + index] = (bytes >> shift) & 0x7f;
  return tag;
}

/** One page of Ogg that holds these packets, each shorter than 255 bytes but for a last one. */
function oggPage(packets: readonly Buffer[], serial: number): Buffer<ArrayBuffer> {
  const table = packets.flatMap(({ length }) => [
    ...Array.from({ length: Math.floor(length / 255) }, () => 255),
    length % 255,
  ]);
  const head = Buffer.alloc(27);
  head.write("OggS", 0, "latin1");
  head.writeUInt32LE(serial, 14);
  head[26] = table.length;
  return Buffer.concat([head, Buffer.from(table), ...packets]);
}

/** An Ogg file of Opus packets of 300 bytes; `toc` is their first byte, 20 ms of speech unless. */
export function opusFile(packets: number, { toc = 0x08, serial = 7 } = {}): Buffer<ArrayBuffer> {
  const packet = Buffer.alloc(300, 1);
  packet[0] = toc;
  const head = [Buffer.from("OpusHead"), Buffer.from("OpusTags")];
  return Buffer.concat([
    ...head.map((one) => oggPage([one], serial)),
    ...Array.from({ length: packets }, () => oggPage([packet], serial)),
  ]);
}
