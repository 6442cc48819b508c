const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const values = new Uint8Array(128);
for (const [value, digit] of [...digits].entries()) values[digit.charCodeAt(0)] = value;

/** The bytes of valid base64 text, read where they are wanted: files are megabytes long. */
export class Base64Bytes {
  readonly #text: string;
  readonly length: number;

  constructor(text: string) {
    this.#text = text;
    const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
    this.length = (text.length / 4) * 3 - padding;
  }

  /** Zero beyond the end. */
  byte(at: number): number {
    if (at >= this.length) return 0;
    const place = at % 3;
    const digit = ((at - place) / 3) * 4 + place;
    const pair = (this.#value(digit) << 6) | this.#value(digit + 1);
    // Three bytes are four digits: a byte lies in two of them, six bits each.
    return (pair >> (4 - 2 * place)) & 0xff;
  }

  uint16(at: number): number {
    return this.byte(at) | (this.byte(at + 1) << 8);
  }

  /** Little-endian, as all numbers of RIFF. */
  uint32(at: number): number {
    return this.uint16(at) + this.uint16(at + 2) * 0x1_00_00;
  }

  /** Whether the file holds this mark there: a text of Latin-1. */
  has(mark: string, at: number): boolean {
    for (let index = 0; index < mark.length; index++) {
      if (this.byte(at + index) !== mark.charCodeAt(index)) return false;
    }
    return true;
  }

  #value(digit: number): number {
    return values[this.#text.charCodeAt(digit)] ?? 0;
  }
}
