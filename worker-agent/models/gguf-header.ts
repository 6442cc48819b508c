import { closeSync, fstatSync, openSync } from "node:fs";
import { GgufCursor } from "./gguf-cursor.ts";
import type { TensorType } from "./gguf-types.ts";
import { tensorTypes } from "./gguf-types.ts";
import { ModelError } from "./model-error.ts";

/** The largest models have some thousands of tensors and metadata values. */
const countMax = 100_000;
/** Arrays of numbers up to this length are kept: values by layer. Longer ones are vocabularies. */
const keptArrayMax = 4096;
/** Sixteen times the largest vocabulary. */
const arrayMax = 2 ** 24;
const arrayDepthMax = 4;
const dimensionsMax = 4;
/** Vocabularies with their merges take some ten megabytes: a header beyond this is an attack. */
const headerBytesMax = 2 ** 28;
const tooLong = `its header is longer than ${headerBytesMax} bytes`;

export type Value = number | boolean | string | readonly number[] | { readonly length: number };
export type Metadata = ReadonlyMap<string, Value>;

/** What one GGUF file says before its weights. */
export interface GgufHeader {
  readonly metadata: Metadata;
  readonly tensorCount: number;
  readonly parameterCount: number;
  /** Bytes of all tensors, as they lie in memory. */
  readonly weightBytes: number;
  /** How many weights have each type of tensor. */
  readonly weightsByType: ReadonlyMap<string, number>;
  /** Where the header ends in the file. */
  readonly headerBytes: number;
  readonly fileBytes: number;
}

interface File {
  readonly size: number;
  readonly fail: (rule: string) => never;
}

/**
 * Reads the header of the GGUF file at `path` without its weights. Throws ModelError `bad_file`
 * where it is missing, is not GGUF, is truncated or says what cannot be.
 */
export function readGgufHeader(path: string): GgufHeader {
  const fail = (rule: string): never => {
    throw new ModelError("bad_file", `Cannot use the model file ${path}: ${rule}`);
  };
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = code === "ENOENT" ? "there is no such file" : `it cannot be opened (${code})`;
    throw new ModelError("bad_file", `Cannot use the model file ${path}: ${reason}`, { cause });
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) fail("it is not a file");
    return readHeader(new GgufCursor(descriptor, stat.size, fail), { size: stat.size, fail });
  } finally {
    closeSync(descriptor);
  }
}

function readHeader(cursor: GgufCursor, file: File): GgufHeader {
  const magic = cursor.remaining < 4 ? 0 : cursor.u32();
  // "GGUF" read as a little-endian number.
  if (magic !== 0x46554747) file.fail("it is not a GGUF file: it does not begin with GGUF");
  const version = cursor.u32();
  if (version !== 2 && version !== 3) file.fail(`its GGUF version is ${version}, not 2 or 3`);
  const tensorCount = cursor.u64();
  const valueCount = cursor.u64();
  if (tensorCount > countMax) file.fail(`it counts ${tensorCount} tensors, more than ${countMax}`);
  if (valueCount > countMax) file.fail(`it counts ${valueCount} values, more than ${countMax}`);
  const metadata = new Map<string, Value>();
  for (let i = 0; i < valueCount; i++) {
    if (cursor.position > headerBytesMax) file.fail(tooLong);
    const key = cursor.text();
    metadata.set(key, readValue(cursor, cursor.u32(), file, 0));
  }
  const weights = readTensors(cursor, tensorCount, metadata, file);
  const sizes = { headerBytes: cursor.position, fileBytes: file.size };
  return { metadata, tensorCount, ...weights, ...sizes };
}

function readValue(cursor: GgufCursor, type: number, file: File, depth: number): Value {
  switch (type) {
    case 0:
      return cursor.u8();
    case 1:
      return cursor.i8();
    case 2:
      return cursor.u16();
    case 3:
      return cursor.i16();
    case 4:
      return cursor.u32();
    case 5:
      return cursor.i32();
    case 6:
      return cursor.f32();
    case 7:
      return cursor.u8() !== 0;
    case 8:
      return cursor.text();
    case 9:
      return readArray(cursor, file, depth + 1);
    case 10:
      return cursor.u64();
    case 11:
      return cursor.i64();
    case 12:
      return cursor.f64();
    default:
      return file.fail(`a value has type ${type}, and GGUF has none above 12`);
  }
}

function readArray(cursor: GgufCursor, file: File, depth: number): Value {
  if (depth > arrayDepthMax) file.fail(`arrays lie in each other more than ${arrayDepthMax} deep`);
  const type = cursor.u32();
  const length = cursor.u64();
  if (length > cursor.remaining) {
    file.fail(`an array of ${length} values begins ${cursor.remaining} bytes before the end of it`);
  }
  if (length > arrayMax) file.fail(`an array has ${length} values, more than ${arrayMax}`);
  const isKept = type < 8 && length <= keptArrayMax;
  const kept: number[] = [];
  for (let i = 0; i < length; i++) {
    if (cursor.position > headerBytesMax) file.fail(tooLong);
    if (type === 8) cursor.skipText();
    else {
      const value = readValue(cursor, type, file, depth);
      if (isKept) kept.push(Number(value));
    }
  }
  return isKept ? kept : { length };
}

function readTensors(
  cursor: GgufCursor,
  count: number,
  metadata: Metadata,
  file: File,
): Pick<GgufHeader, "parameterCount" | "weightBytes" | "weightsByType"> {
  let parameterCount = 0;
  let weightBytes = 0;
  let end = 0;
  const weightsByType = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const name = cursor.text();
    const weights = readShape(cursor, name, file);
    const type = tensorTypes.get(cursor.u32());
    const offset = cursor.u64();
    const bytes = type === undefined ? 0 : bytesOf(type, weights);
    parameterCount += weights;
    weightBytes += bytes;
    end = Math.max(end, offset + bytes);
    const typeName = type?.name ?? "unknown";
    weightsByType.set(typeName, (weightsByType.get(typeName) ?? 0) + weights);
  }
  const alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment !== "number" || alignment < 1 || alignment > 1 << 16) {
    file.fail(`its alignment is ${String(alignment)}`);
  }
  const dataStart = Math.ceil(cursor.position / Number(alignment)) * Number(alignment);
  if (count > 0 && dataStart + end > file.size) {
    file.fail(`it is truncated: its tensors end at byte ${dataStart + end} of ${file.size}`);
  }
  return { parameterCount, weightBytes, weightsByType };
}

function readShape(cursor: GgufCursor, name: string, file: File): number {
  const dimensions = cursor.u32();
  if (dimensions < 1 || dimensions > dimensionsMax) {
    file.fail(`tensor ${name} has ${dimensions} dimensions, not 1 to ${dimensionsMax}`);
  }
  let weights = 1;
  for (let i = 0; i < dimensions; i++) weights *= cursor.u64();
  if (!Number.isSafeInteger(weights) || weights < 1) {
    file.fail(`tensor ${name} has ${weights} weights`);
  }
  return weights;
}

function bytesOf(type: TensorType, weights: number): number {
  return Math.ceil(weights / type.blockWeights) * type.blockBytes;
}
