import { createHash, randomBytes } from "node:crypto";
import { open, readdir, rename, rm, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

/*
 * The unfinished file of a download.
 *
 * D1. A part has one writer: its name says which process claimed it, and claiming is a rename,
 *     which only one can win.
 * D2. A part's name holds a hash of what the bytes are a version of (the ETag), so that no part
 *     continues another.
 * D3. A part nobody claims, or whose process is gone, may be claimed to resume it.
 */

export class PartFile {
  readonly path: string;
  readonly #freePath: string;
  readonly #handle: FileHandle;
  #bytes: number;
  #isOpen = true;

  constructor(path: string, freePath: string, handle: FileHandle, bytes: number) {
    this.path = path;
    this.#freePath = freePath;
    this.#handle = handle;
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async write(chunk: Uint8Array): Promise<void> {
    let written = 0;
    while (written < chunk.length) {
      const { bytesWritten } = await this.#handle.write(
        chunk,
        written,
        chunk.length - written,
        this.#bytes,
      );
      written += bytesWritten;
      this.#bytes += bytesWritten;
    }
  }

  async empty(): Promise<void> {
    await this.#handle.truncate(0);
    this.#bytes = 0;
  }

  /** Makes the bytes durable and the part closed, ready to be checked and renamed. */
  async close(): Promise<void> {
    await this.#handle.sync();
    await this.#closeHandle();
  }

  /** Leaves the part for whoever resumes it. */
  async release(): Promise<void> {
    await this.#closeHandle();
    if (this.#bytes > 0) await rename(this.path, this.#freePath);
    else await rm(this.path, { force: true });
  }

  async discard(): Promise<void> {
    await this.#closeHandle();
    await rm(this.path, { force: true });
  }

  async #closeHandle(): Promise<void> {
    if (this.#isOpen) await this.#handle.close();
    this.#isOpen = false;
  }
}

/**
 * Claims the longest part of `fileName` at `version` that no live process has, or makes an empty
 * one.
 */
export async function claimPart(
  folder: string,
  fileName: string,
  version: string,
): Promise<PartFile> {
  const key = createHash("sha256").update(version).digest("hex").slice(0, 16);
  const prefix = `${fileName}.${key}.`;
  const freePath = join(folder, `${prefix}part`);
  const owner = `${hostname()}-${process.pid}-${randomBytes(4).toString("hex")}`;
  const ownPath = join(folder, `${prefix}${owner}.part`);
  for (const path of await claimable(folder, prefix)) {
    try {
      await rename(path, ownPath);
      break;
    } catch {
      // Another process claimed it first; the next one may be free.
    }
  }
  const handle = await open(ownPath, "a+").then(async (made) => {
    // Appending ignores positions on Linux: the file is made by "a+" where it is missing, then
    // opened for writing.
    await made.close();
    return open(ownPath, "r+");
  });
  const { size } = await handle.stat();
  return new PartFile(ownPath, freePath, handle, size);
}

/** Removes what older versions of `fileName` left behind. */
export async function removeFreeParts(folder: string, fileName: string): Promise<void> {
  for (const path of await claimable(folder, `${fileName}.`)) await rm(path, { force: true });
}

/** Parts of this version that nobody writes, the longest first. */
async function claimable(folder: string, prefix: string): Promise<string[]> {
  const found: { path: string; size: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith(".part")) continue;
    if (isOwnerAlive(name.slice(0, -".part".length))) continue;
    const path = join(folder, name);
    const size = await stat(path).then(
      (one) => one.size,
      () => 0,
    );
    found.push({ path, size });
  }
  return found.toSorted((a, b) => b.size - a.size).map(({ path }) => path);
}

function isOwnerAlive(name: string): boolean {
  const [, host, pid] = /\.[0-9a-f]{16}\.(.+)-(\d+)-[0-9a-f]{8}$/.exec(name) ?? [];
  if (host === undefined || pid === undefined) return false;
  // Another machine's process on a shared disk cannot be asked; it keeps its part.
  if (host !== hostname()) return true;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
