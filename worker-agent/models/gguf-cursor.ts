import { readSync } from "node:fs";

/** A header is read once, front to back, so one large buffer serves nearly all of it. */
const chunkBytes = 1 << 20;

/** Chat templates are the longest texts, some ten thousand bytes. */
const textBytesMax = 2 ** 24;

/**
 * Reads little-endian values from a file, front to back. Synchronous: a header has a few hundred
 * thousand values.
 */
export class GgufCursor {
  readonly #descriptor: number;
  readonly #fileBytes: number;
  readonly #fail: (rule: string) => never;
  #buffer = Buffer.alloc(0);
  /** Where the buffer begins in the file, and where the cursor stands in the buffer. */
  #bufferStart = 0;
  #at = 0;

  constructor(descriptor: number, fileBytes: number, fail: (rule: string) => never) {
    this.#descriptor = descriptor;
    this.#fileBytes = fileBytes;
    this.#fail = fail;
  }

  get position(): number {
    return this.#bufferStart + this.#at;
  }

  get remaining(): number {
    return this.#fileBytes - this.position;
  }

  u8(): number {
    const at = this.#advance(1);
    return this.#buffer.readUInt8(at);
  }
  i8(): number {
    const at = this.#advance(1);
    return this.#buffer.readInt8(at);
  }
  u16(): number {
    const at = this.#advance(2);
    return this.#buffer.readUInt16LE(at);
  }
  i16(): number {
    const at = this.#advance(2);
    return this.#buffer.readInt16LE(at);
  }
  u32(): number {
    const at = this.#advance(4);
    return this.#buffer.readUInt32LE(at);
  }
  i32(): number {
    const at = this.#advance(4);
    return this.#buffer.readInt32LE(at);
  }
  f32(): number {
    const at = this.#advance(4);
    return this.#buffer.readFloatLE(at);
  }
  f64(): number {
    const at = this.#advance(8);
    return this.#buffer.readDoubleLE(at);
  }
  i64(): number {
    const at = this.#advance(8);
    return Number(this.#buffer.readBigInt64LE(at));
  }

  /**
   * An unsigned number of 64 bits; above 2^53 it is only roughly right, which is enough to refuse
   * it.
   */
  u64(): number {
    const at = this.#advance(8);
    return Number(this.#buffer.readBigUInt64LE(at));
  }

  text(): string {
    const length = this.#length("a text");
    if (length > textBytesMax) this.#fail(`a text has ${length} bytes, more than ${textBytesMax}`);
    const start = this.#advance(length);
    return this.#buffer.toString("utf8", start, start + length);
  }

  skipText(): void {
    this.skip(this.#length("a text"));
  }

  skip(bytes: number): void {
    if (bytes > this.remaining) this.#ends(bytes);
    const inBuffer = Math.min(bytes, this.#buffer.length - this.#at);
    this.#at += inBuffer;
    if (inBuffer === bytes) return;
    this.#bufferStart = this.position + bytes - inBuffer;
    this.#buffer = Buffer.alloc(0);
    this.#at = 0;
  }

  #length(what: string): number {
    const length = this.u64();
    if (length > this.remaining) {
      this.#fail(`${what} of ${length} bytes begins ${this.remaining} bytes before the end of it`);
    }
    return length;
  }

  /** Makes `bytes` available and steps over them: where they begin in the buffer. */
  #advance(bytes: number): number {
    if (this.#at + bytes > this.#buffer.length) this.#refill(bytes);
    const start = this.#at;
    this.#at += bytes;
    return start;
  }

  #refill(bytes: number): void {
    if (bytes > this.remaining) this.#ends(bytes);
    const start = this.position;
    const buffer = Buffer.alloc(Math.min(Math.max(bytes, chunkBytes), this.#fileBytes - start));
    let filled = 0;
    while (filled < buffer.length) {
      const read = readSync(
        this.#descriptor,
        buffer,
        filled,
        buffer.length - filled,
        start + filled,
      );
      if (read === 0) this.#ends(bytes);
      filled += read;
    }
    [this.#buffer, this.#bufferStart, this.#at] = [buffer, start, 0];
  }

  #ends(bytes: number): never {
    return this.#fail(`it ends where ${bytes} more bytes of its header should be`);
  }
}
