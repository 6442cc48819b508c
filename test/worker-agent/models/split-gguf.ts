import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { partNames } from "../../../worker-agent/models/split-names.ts";

/** A number is 32 bits, a bigint 64, a string GGUF's own text. */
export type Item = string | number | bigint | Buffer;

/** Lays out a header by hand. */
export function bytes(...items: readonly Item[]): Buffer {
  const parts = items.map((item) => {
    if (Buffer.isBuffer(item)) return item;
    if (typeof item === "string") {
      return Buffer.concat([bytes(BigInt(item.length)), Buffer.from(item)]);
    }
    const part = Buffer.alloc(typeof item === "bigint" ? 8 : 4);
    if (typeof item === "bigint") part.writeBigUInt64LE(item);
    else part.writeUInt32LE(item);
    return part;
  });
  return Buffer.concat(parts);
}

const alignment = 32;

export interface Tensor {
  /** Name, dimensions and type as they stand in the file. */
  readonly head: Buffer;
  readonly data: Buffer;
}

/**
 * Splits the GGUF file at `path` into parts in `folder`, as llama-gguf-split does: all values in
 * the first part, the tensors spread. Gives the path of the first.
 */
export async function splitGguf(path: string, folder: string, parts: number): Promise<string> {
  const { values, valueCount, tensors } = takeApart(await readFile(path));
  const digits = String(parts).padStart(5, "0");
  const names = partNames(`split-00001-of-${digits}.gguf`);
  const each = Math.ceil(tensors.length / parts);
  for (const [at, name] of names.entries()) {
    const own = [
      bytes("split.no", 2, short(at)),
      bytes("split.count", 2, short(parts)),
      bytes("split.tensors.count", 5, tensors.length),
    ];
    const count = own.length + (at === 0 ? valueCount : 0);
    const metadata = at === 0 ? [values, ...own] : own;
    const slice = tensors.slice(at * each, (at + 1) * each);
    await writeFile(join(folder, name), layOut(metadata, count, slice));
  }
  return join(folder, names[0] ?? "");
}

function short(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16LE(value);
  return buffer;
}

export function layOut(
  metadata: readonly Buffer[],
  count: number,
  tensors: readonly Tensor[],
): Buffer {
  let offset = 0;
  const heads = tensors.map(({ head, data }) => {
    const own = Buffer.concat([head, bytes(BigInt(offset))]);
    offset += padded(data.length);
    return own;
  });
  const start = bytes(Buffer.from("GGUF"), 3, BigInt(tensors.length), BigInt(count));
  const header = Buffer.concat([start, ...metadata, ...heads]);
  const body = tensors.map(({ data }) => pad(data));
  return Buffer.concat([pad(header), ...body]);
}

function padded(length: number): number {
  return Math.ceil(length / alignment) * alignment;
}

function pad(buffer: Buffer): Buffer {
  return Buffer.concat([buffer, Buffer.alloc(padded(buffer.length) - buffer.length)]);
}

export function takeApart(file: Buffer): { values: Buffer; valueCount: number; tensors: Tensor[] } {
  const tensorCount = Number(file.readBigUInt64LE(8));
  const valueCount = Number(file.readBigUInt64LE(16));
  let at = 24;
  for (let i = 0; i < valueCount; i++) {
    at = afterText(file, at);
    at = afterValue(file, at + 4, file.readUInt32LE(at));
  }
  const values = file.subarray(24, at);
  const found: { head: Buffer; offset: number }[] = [];
  for (let i = 0; i < tensorCount; i++) {
    const start = at;
    at = afterText(file, at);
    at += 4 + 8 * file.readUInt32LE(at) + 4;
    found.push({ head: file.subarray(start, at), offset: Number(file.readBigUInt64LE(at)) });
    at += 8;
  }
  const data = file.subarray(padded(at));
  const ends = found.map(({ offset }) => offset).toSorted((a, b) => a - b);
  const tensors = found.map(({ head, offset }) => ({
    head,
    data: data.subarray(offset, ends.find((end) => end > offset) ?? data.length),
  }));
  return { values, valueCount, tensors };
}

const sizes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

function afterText(file: Buffer, at: number): number {
  return at + 8 + Number(file.readBigUInt64LE(at));
}

function afterValue(file: Buffer, at: number, type: number): number {
  if (type === 8) return afterText(file, at);
  if (type !== 9) return at + (sizes[type] ?? 0);
  const element = file.readUInt32LE(at);
  const length = Number(file.readBigUInt64LE(at + 4));
  let end = at + 12;
  for (let i = 0; i < length; i++) end = afterValue(file, end, element);
  return end;
}
