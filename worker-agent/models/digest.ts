import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../state/replace-file.ts";

export interface DigestOptions {
  /** Where digests are remembered; null remembers none. */
  readonly cacheFolder: string | null;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal: AbortSignal;
}

/** Reading in large pieces: hashing 40 GB in the default ones costs a third more. */
const readBytes = 1 << 20;

/**
 * SHA-256 of a file in hexadecimal. A file that has the same device, inode, size and time of change
 * as before is not read again, wherever it has been renamed to. Throws the signal's reason when
 * aborted.
 */
export async function fileDigest(path: string, options: DigestOptions): Promise<string> {
  const { cacheFolder, signal, onProgress } = options;
  const { dev, ino, size, mtimeMs } = await stat(path);
  const cached =
    cacheFolder === null ? null : join(cacheFolder, `${dev}-${ino}-${size}-${mtimeMs}`);
  const known = cached === null ? null : await readDigest(cached);
  if (known !== null) return known;
  const hash = createHash("sha256");
  let doneBytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: readBytes, signal })) {
    hash.update(chunk);
    doneBytes += chunk.length;
    onProgress?.(doneBytes, size);
  }
  const digest = hash.digest("hex");
  if (cached !== null && cacheFolder !== null) {
    await mkdir(cacheFolder, { recursive: true });
    await replaceFile(cached, digest);
  }
  return digest;
}

async function readDigest(path: string): Promise<string | null> {
  try {
    const text = await readFile(path, "utf8");
    return /^[0-9a-f]{64}$/.test(text) ? text : null;
  } catch {
    // Not hashed yet, or the cache cannot be read: hashing again is always right.
    return null;
  }
}
