import { createHash, randomBytes } from "node:crypto";
import { open, readdir, rename, rm, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { ByteRange } from "./byte-ranges.ts";
import { ByteRanges } from "./byte-ranges.ts";
import { startOf } from "../state/lock.ts";

/*
 * The unfinished file of a download.
 *
 * D1. A part has one writer: its name says which process claimed it, and when that started where
 *     the system tells; claiming is a rename, which only one can win.
 * D2. A part's name holds a hash of what the bytes are a version of (the ETag), so that no part
 *     continues another.
 * D3. A part nobody claims, or whose process is gone, may be claimed to resume it.
 * D4. What was received is written down behind the place of the data, in two slots by turns, after
 *     the data it speaks of is on the disk: whenever the process dies, one of them is true.
 */

/** What a slot holds, after 16 digits of its SHA-256. */
const recordSchema = z.object({
  turn: z.int().min(0),
  ranges: z.array(z.tuple([z.int().min(0), z.int().min(0)])),
});
/** Room for some hundred ranges; a download has a few more than it has connections. */
const slotBytes = 8192;
const rangesMax = 128;
const sealDigits = 16;

export class PartFile {
  readonly path: string;
  readonly #freePath: string;
  readonly #handle: FileHandle;
  /** Null where the server did not say it: then nothing is written down, and nothing resumed. */
  readonly #totalBytes: number | null;
  #received: ByteRanges;
  #turn: number;
  #isOpen = true;

  constructor(
    handle: FileHandle,
    names: { readonly path: string; readonly freePath: string },
    state: { readonly totalBytes: number | null; readonly record: Record | null },
  ) {
    this.#handle = handle;
    this.path = names.path;
    this.#freePath = names.freePath;
    this.#totalBytes = state.totalBytes;
    this.#received = state.record?.received ?? new ByteRanges();
    this.#turn = state.record?.turn ?? 0;
  }

  get received(): ByteRanges {
    return this.#received;
  }

  async write(chunk: Uint8Array, at: number): Promise<void> {
    let written = 0;
    while (written < chunk.length) {
      const left = chunk.length - written;
      const { bytesWritten } = await this.#handle.write(chunk, written, left, at + written);
      this.#received.add({ start: at + written, end: at + written + bytesWritten });
      written += bytesWritten;
    }
  }

  /** Writes down what was received (D4). */
  async save(): Promise<void> {
    if (this.#totalBytes === null) return;
    const ranges = this.#received.ranges.slice(0, rangesMax).map(({ start, end }) => [start, end]);
    this.#turn += 1;
    const text = JSON.stringify({ turn: this.#turn, ranges });
    const slot = Buffer.alloc(slotBytes);
    slot.write(`${sealOf(text)}${text}`);
    await this.#handle.datasync();
    await this.#handle.write(slot, 0, slotBytes, this.#totalBytes + (this.#turn % 2) * slotBytes);
  }

  /** Both slots get their place on the disk, before the data can fill it. */
  async prepare(): Promise<void> {
    if (this.#received.bytes > 0) return;
    await this.#handle.truncate(0);
    await this.save();
    await this.save();
  }

  /** Makes the bytes durable and the part closed, ready to be checked and renamed. */
  async close(): Promise<void> {
    if (this.#totalBytes !== null) await this.#handle.truncate(this.#totalBytes);
    await this.#handle.sync();
    await this.#closeHandle();
  }

  /** Leaves the part for whoever resumes it. */
  async release(): Promise<void> {
    if (this.#received.bytes === 0 || !this.#isOpen) return this.discard();
    try {
      await this.save();
    } catch {
      // A disk that fails: what was written down before is still true.
    }
    await this.#closeHandle();
    await rename(this.path, this.#freePath);
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

interface Record {
  readonly turn: number;
  readonly received: ByteRanges;
}

export interface PartOf {
  readonly folder: string;
  readonly fileName: string;
  /** Of the bytes: what the server calls them. */
  readonly version: string;
  readonly totalBytes: number | null;
}

/**
 * Claims the part of `fileName` at `version` that no live process has and that takes most of the
 * disk, or makes an empty one.
 */
export async function claimPart(of: PartOf): Promise<PartFile> {
  const { folder, fileName, totalBytes } = of;
  const version = `${totalBytes ?? "?"} ${of.version}`;
  const key = createHash("sha256").update(version).digest("hex").slice(0, 16);
  const prefix = `${fileName}.${key}.`;
  const freePath = join(folder, `${prefix}part`);
  const owner = `${hostname()}-${ownProcess()}-${randomBytes(4).toString("hex")}`;
  const path = join(folder, `${prefix}${owner}.part`);
  for (const free of await claimable(folder, prefix)) {
    try {
      await rename(free, path);
      break;
    } catch {
      // Another process claimed it first; the next one may be free.
    }
  }
  const handle = await open(path, "a+").then(async (made) => {
    // Appending ignores positions on Linux: the file is made by "a+" where it is missing, then
    // opened for writing.
    await made.close();
    return open(path, "r+");
  });
  const record = totalBytes === null ? null : await readRecord(handle, totalBytes);
  return new PartFile(handle, { path, freePath }, { totalBytes, record });
}

/** The newest slot that is whole and says what can be; null where neither is. */
async function readRecord(handle: FileHandle, totalBytes: number): Promise<Record | null> {
  let newest: Record | null = null;
  for (const at of [0, 1]) {
    const slot = Buffer.alloc(slotBytes);
    const { bytesRead } = await handle.read(slot, 0, slotBytes, totalBytes + at * slotBytes);
    if (bytesRead < slotBytes) continue;
    const record = parseRecord(slot, totalBytes);
    if (record !== null && record.turn > (newest?.turn ?? -1)) newest = record;
  }
  return newest;
}

function parseRecord(slot: Buffer, totalBytes: number): Record | null {
  const end = slot.indexOf(0);
  const whole = slot.toString("utf8", 0, end === -1 ? slot.length : end);
  const text = whole.slice(sealDigits);
  if (text === "" || sealOf(text) !== whole.slice(0, sealDigits)) return null;
  const { turn, ranges } = recordSchema.parse(JSON.parse(text));
  const isRange = ({ start, end: last }: ByteRange) => start <= last && last <= totalBytes;
  const found = ranges.map(([start, last]) => ({ start, end: last }));
  return found.every(isRange) ? { turn, received: new ByteRanges(found) } : null;
}

function sealOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, sealDigits);
}

/** Removes what older versions of `fileName` left behind. */
export async function removeFreeParts(folder: string, fileName: string): Promise<void> {
  for (const path of await claimable(folder, `${fileName}.`)) await rm(path, { force: true });
}

/** Parts of this version that nobody writes, those with most on the disk first. */
async function claimable(folder: string, prefix: string): Promise<string[]> {
  const found: { path: string; blocks: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith(".part")) continue;
    if (isOwnerAlive(name.slice(0, -".part".length))) continue;
    const path = join(folder, name);
    const blocks = await stat(path).then(
      (one) => one.blocks,
      () => 0,
    );
    found.push({ path, blocks });
  }
  return found.toSorted((a, b) => b.blocks - a.blocks).map(({ path }) => path);
}

/** A container that starts again has its host's name and process ids again. */
function ownProcess(): string {
  const start = startOf(process.pid);
  return start === null ? `${process.pid}` : `${process.pid}_${start}`;
}

function isOwnerAlive(name: string): boolean {
  const [, host, pid, start] =
    /\.[0-9a-f]{16}\.(.+)-(\d+)(?:_(\d+))?-[0-9a-f]{8}$/.exec(name) ?? [];
  if (host === undefined || pid === undefined) return false;
  // Another machine's process on a shared disk cannot be asked; it keeps its part.
  if (host !== hostname()) return true;
  const started = start === undefined ? null : startOf(Number(pid));
  if (started !== null && started !== start) return false;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
