import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { ModelError } from "./model-error.ts";

/** What a `.onnx` file says of its weights. */
export interface GraphWeights {
  /** Elements of all its constants but whole numbers of 64 bits: those are shapes and places. */
  readonly elements: number;
  /** Of them, those kept as unsigned bytes: four-bit weights lie in pairs in such bytes. */
  readonly byteElements: number;
  /** What those elements take. */
  readonly bytes: number;
  /** The files beside it that hold weights, as their paths from its folder. */
  readonly externalFiles: readonly string[];
}

/** Numbers of fields and types in onnx.proto3, which never change. */
const graphField = 7;
const initializerField = 5;
const tensorFields = { dims: 1, type: 2, external: 13 } as const;
const uint8Type = 2;
const int64Type = 7;
/** Bytes of an element by `TensorProto.DataType` of onnx.proto3; other types take four. */
const bytesByType = new Map([
  [2, 1],
  [3, 1],
  [4, 2],
  [5, 2],
  [9, 1],
  [10, 2],
  [11, 8],
  [13, 8],
  [16, 2],
  [17, 1],
  [18, 1],
  [19, 1],
  [20, 1],
  [21, 0.5],
  [22, 0.5],
  [23, 0.5],
]);

/** Names and shapes are short; only raw values are long, and those are passed over. */
const smallFieldBytes = 1 << 16;

/**
 * Reads the constants' shapes of an ONNX model, not their values: megabytes of weights cost a few
 * small reads. Throws ModelError `bad_file` where the file is cut off or no ONNX model.
 */
export function readGraph(path: string): GraphWeights {
  const file = openSync(path, "r");
  try {
    const reader = new ProtoFile(path, file);
    let [elements, byteElements, bytes] = [0, 0, 0];
    const externalFiles = new Set<string>();
    let hasGraph = false;
    for (const top of reader.fields(0, reader.size)) {
      if (top.number !== graphField || top.wire !== 2) continue;
      hasGraph = true;
      for (const field of reader.fields(top.start, top.end)) {
        if (field.number !== initializerField || field.wire !== 2) continue;
        const tensor = reader.tensor(field);
        if (tensor.location !== null) externalFiles.add(tensor.location);
        if (tensor.type === int64Type) continue;
        const count = tensor.dims.reduce((all, one) => all * one, 1);
        elements += count;
        byteElements += tensor.type === uint8Type ? count : 0;
        bytes += count * (bytesByType.get(tensor.type) ?? 4);
      }
    }
    if (!hasGraph) reader.fail("it has no graph");
    return {
      elements,
      byteElements,
      bytes: Math.ceil(bytes),
      externalFiles: [...externalFiles].sort(),
    };
  } finally {
    closeSync(file);
  }
}

interface Field {
  readonly number: number;
  readonly wire: number;
  readonly start: number;
  readonly end: number;
  /** Of a field that is a number. */
  readonly value: number;
}

class ProtoFile {
  readonly size: number;
  readonly #path: string;
  readonly #file: number;

  constructor(path: string, file: number) {
    this.#path = path;
    this.#file = file;
    this.size = fstatSync(file).size;
  }

  fail(reason: string): never {
    throw new ModelError("bad_file", `Cannot use the model file ${this.#path}: ${reason}`);
  }

  /** The fields of a message that lies in these bytes. */
  *fields(start: number, end: number): Generator<Field> {
    for (let at = start; at < end;) {
      const key = this.#varint(at);
      const [number, wire] = [Math.floor(key.value / 8), key.value % 8];
      if (number === 0 || ![0, 1, 2, 5].includes(wire)) this.fail("it is no ONNX model");
      const body = this.#body(wire, key.end);
      if (body.end > this.size) {
        this.fail(`it is cut off: byte ${body.end} is missing, the file ends at ${this.size}`);
      }
      if (body.end > end) this.fail("it is no ONNX model");
      yield { number, wire, ...body };
      at = body.end;
    }
  }

  tensor(of: Field): { dims: number[]; type: number; location: string | null } {
    const dims: number[] = [];
    let type = 0;
    let location: string | null = null;
    for (const field of this.fields(of.start, of.end)) {
      if (field.number === tensorFields.type) type = field.value;
      if (field.number === tensorFields.external) location = this.#locationOf(field) ?? location;
      if (field.number !== tensorFields.dims) continue;
      if (field.wire === 0) dims.push(field.value);
      // Repeated numbers may be packed into one field.
      for (let at = field.start; field.wire === 2 && at < field.end;) {
        const one = this.#varint(at);
        dims.push(one.value);
        at = one.end;
      }
    }
    return { dims, type, location };
  }

  /** `location` of a pair of key and value; null where it is another key. */
  #locationOf(pair: Field): string | null {
    const texts = new Map<number, string>();
    for (const { number, start, end } of this.fields(pair.start, pair.end)) {
      if (end - start <= smallFieldBytes) texts.set(number, this.#read(start, end).toString());
    }
    return texts.get(1) === "location" ? (texts.get(2) ?? null) : null;
  }

  #body(wire: number, at: number): { start: number; end: number; value: number } {
    if (wire === 1) return { start: at, end: at + 8, value: 0 };
    if (wire === 5) return { start: at, end: at + 4, value: 0 };
    const { value, end } = this.#varint(at);
    if (wire === 0) return { start: at, end, value };
    return { start: end, end: end + value, value: 0 };
  }

  #varint(at: number): { value: number; end: number } {
    const bytes = this.#read(at, Math.min(at + 10, this.size));
    let value = 0n;
    for (const [index, byte] of bytes.entries()) {
      value |= BigInt(byte & 127) << BigInt(7 * index);
      if (byte < 128) return { value: Number(BigInt.asUintN(64, value)), end: at + index + 1 };
    }
    if (bytes.length < 10) this.fail(`it is cut off: the file ends at byte ${this.size}`);
    return this.fail("it is no ONNX model");
  }

  #read(start: number, end: number): Buffer {
    const bytes = Buffer.alloc(Math.max(0, end - start));
    return bytes.subarray(0, readSync(this.#file, bytes, 0, bytes.length, start));
  }
}
