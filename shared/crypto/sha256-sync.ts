/*
 * SHA-256 (FIPS 180-4) where WebCrypto's cannot be waited for: inside pure reducers, for short
 * texts.
 */

/** The first 32 bits of the fraction of `root`. */
function fractionBits(root: number): number {
  return Math.floor((root % 1) * 2 ** 32);
}

/** The first `count` primes. */
function primes(count: number): number[] {
  const found: number[] = [];
  for (let candidate = 2; found.length < count; candidate++) {
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  }
  return found;
}

/** Section 4.2.2: of the cube roots of the first 64 primes. */
const roundConstants = Int32Array.from(primes(64), (prime) => fractionBits(Math.cbrt(prime)) | 0);
/** Section 5.3.3: of the square roots of the first 8. */
const startState = Int32Array.from(primes(8), (prime) => fractionBits(Math.sqrt(prime)) | 0);

const encoder = new TextEncoder();

const blockBytes = 64;
/** The bit that ends a message, and its length. */
const tailBytes = 9;

/** Texts are short: of most of them the whole message fits. */
const scratch = new Uint8Array(1024);
/** Nothing here waits, so that all calls can share one. */
const schedule = new Int32Array(64);
const state = new Int32Array(8);

/** SHA-256 of UTF-8 text. */
export function sha256Sync(text: string): Uint8Array {
  const { padded, length } = padded64(text);
  state.set(startState);
  for (let at = 0; at < length; at += blockBytes) compress(padded, at);
  const digest = new Uint8Array(32);
  for (let index = 0; index < 8; index++) {
    const word = state[index] ?? 0;
    digest[index * 4] = word >>> 24;
    digest[index * 4 + 1] = word >>> 16;
    digest[index * 4 + 2] = word >>> 8;
    digest[index * 4 + 3] = word;
  }
  return digest;
}

/** Section 5.1.1: the text, a bit that ends it, and its length in bits; `length` in bytes. */
function padded64(text: string): { readonly padded: Uint8Array; readonly length: number } {
  // UTF-8 has at most three bytes a UTF-16 code unit.
  const most = text.length * 3 + blockBytes + tailBytes;
  const padded = most <= scratch.length ? scratch : new Uint8Array(most);
  const { written } = encoder.encodeInto(text, padded);
  const length = Math.ceil((written + tailBytes) / blockBytes) * blockBytes;
  padded.fill(0, written, length);
  padded[written] = 0x80;
  // Bits may need more than 32 of them: the upper ones are what 2^29 bytes come to.
  const upper = Math.floor(written / 2 ** 29);
  for (let byte = 0; byte < 4; byte++) {
    padded[length - 1 - byte] = (written << 3) >>> (8 * byte);
    padded[length - 5 - byte] = upper >>> (8 * byte);
  }
  return { padded, length };
}

/**
 * Section 6.2.2: one block of the message, into `state`. Rotations are written out and arrays read
 * by index: a journal takes some thirty blocks a task.
 */
function compress(message: Uint8Array, from: number): void {
  for (let t = 0, at = from; t < 16; t++, at += 4) {
    schedule[t] =
      ((message[at] ?? 0) << 24) |
      ((message[at + 1] ?? 0) << 16) |
      ((message[at + 2] ?? 0) << 8) |
      (message[at + 3] ?? 0);
  }
  for (let t = 16; t < 64; t++) {
    const early = schedule[t - 15] ?? 0;
    const late = schedule[t - 2] ?? 0;
    const sigma0 =
      ((early >>> 7) | (early << 25)) ^ ((early >>> 18) | (early << 14)) ^ (early >>> 3);
    const sigma1 = ((late >>> 17) | (late << 15)) ^ ((late >>> 19) | (late << 13)) ^ (late >>> 10);
    schedule[t] = (sigma1 + (schedule[t - 7] ?? 0) + sigma0 + (schedule[t - 16] ?? 0)) | 0;
  }
  let a = state[0] ?? 0;
  let b = state[1] ?? 0;
  let c = state[2] ?? 0;
  let d = state[3] ?? 0;
  let e = state[4] ?? 0;
  let f = state[5] ?? 0;
  let g = state[6] ?? 0;
  let h = state[7] ?? 0;
  for (let t = 0; t < 64; t++) {
    const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const chosen = g ^ (e & (f ^ g));
    const first = (h + sum1 + chosen + (roundConstants[t] ?? 0) + (schedule[t] ?? 0)) | 0;
    const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const second = (sum0 + ((a & b) | (c & (a | b)))) | 0;
    // One by one: an array of eight for each round costs more than the round.
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + second) | 0;
  }
  state[0] = (state[0] ?? 0) + a;
  state[1] = (state[1] ?? 0) + b;
  state[2] = (state[2] ?? 0) + c;
  state[3] = (state[3] ?? 0) + d;
  state[4] = (state[4] ?? 0) + e;
  state[5] = (state[5] ?? 0) + f;
  state[6] = (state[6] ?? 0) + g;
  state[7] = (state[7] ?? 0) + h;
}
