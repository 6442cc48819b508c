import { assert } from "../assert.ts";

const encoder = new TextEncoder();
const base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text) as Uint8Array<ArrayBuffer>;
}

const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** What newer platforms do natively (ECMAScript 2026); Node 20 and 24 do not have it. */
interface NativeText {
  toHex?(): string;
  toBase64?(options?: { alphabet: "base64url"; omitPadding: boolean }): string;
}

/** Lower-case hexadecimal, two digits a byte. */
export function toHex(bytes: Uint8Array & NativeText): string {
  if (bytes.toHex !== undefined) return bytes.toHex();
  let text = "";
  for (const byte of bytes) text += hexPairs[byte] ?? "";
  return text;
}

const base64UrlDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** The value of each digit by its character code; 255 is no digit. */
const base64UrlValues = new Uint8Array(128).fill(255);
for (let value = 0; value < 64; value++) base64UrlValues[base64UrlDigits.charCodeAt(value)] = value;

/** Base64url without padding (RFC 4648 section 5). */
export function toBase64Url(bytes: Uint8Array & NativeText): string {
  if (bytes.toBase64 !== undefined) {
    return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  }
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const bits = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text += base64UrlDigits.charAt(bits >>> 18) + base64UrlDigits.charAt((bits >>> 12) & 63);
    if (left > 1) text += base64UrlDigits.charAt((bits >>> 6) & 63);
    if (left > 2) text += base64UrlDigits.charAt(bits & 63);
  }
  return text;
}

/**
 * The bytes of base64url text, or null where it is not base64url: bytes have one spelling (RFC 4648
 * section 3.5). Written out, because `atob` with a copy a character took longer than the signature
 * check it was for.
 */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.length % 4 === 1) return null;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let bits = 0;
  let count = 0;
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const value = base64UrlValues[text.charCodeAt(i)] ?? 255;
    if (value === 255) return null;
    bits = (bits << 6) | value;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes[at++] = (bits >>> count) & 255;
  }
  // Bits to spare are zero, or one key would have several names and a signature could be altered.
  const spare = bits & ((1 << count) - 1);
  return spare === 0 ? bytes : null;
}

/** Arguments of one call: more of them overflow the stack of some platforms. */
const charactersAtOnce = 8192;

/** Base64 with padding (RFC 4648 section 4). */
export function toBase64(bytes: Uint8Array & NativeText): string {
  if (bytes.toBase64 !== undefined) return bytes.toBase64();
  let binary = "";
  for (let at = 0; at < bytes.length; at += charactersAtOnce) {
    binary += String.fromCharCode(...bytes.subarray(at, at + charactersAtOnce));
  }
  return btoa(binary);
}

/** The bytes as one big-endian number in base 62, padded on the left to `length` digits. */
export function base62(bytes: Uint8Array, length: number): string {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  let text = "";
  while (value > 0n) {
    text = base62Digits.charAt(Number(value % 62n)) + text;
    value /= 62n;
  }
  assert(text.length <= length, `${bytes.length} bytes fit ${length} base62 digits`);
  return text.padStart(length, "0");
}

/**
 * `length` base62 digits, each as likely as any other; `random` gives the bytes they are drawn
 * from.
 */
export function randomBase62(length: number, random: (count: number) => Uint8Array): string {
  let text = "";
  while (text.length < length) {
    for (const byte of random(length)) {
      // 62 of 64 values are digits; the other two are drawn again, so that no digit is favoured.
      const digit = byte & 63;
      if (digit < 62 && text.length < length) text += base62Digits.charAt(digit);
    }
  }
  return text;
}

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** SHA-256 of UTF-8 text, in hexadecimal. */
export async function sha256Hex(text: string): Promise<string> {
  return toHex(await sha256(utf8(text)));
}

/** Compares without leaking where the first difference is. Arrays of other lengths differ. */
export function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** CRC-32 (ISO 3309, the one of zip and PNG) of UTF-8 text. */
export function crc32(text: string): number {
  return crc32OfBytes(utf8(text));
}

/** CRC-32 of bytes. */
export function crc32OfBytes(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 255] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}
