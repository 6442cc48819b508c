/*
 * A writer of ONNX models: enough of the format (onnx.proto3, opset 17) for the small graphs that
 * tests compute by hand.
 */

export interface GraphTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: readonly number[];
  readonly type?: "float" | "int64";
  /** The file beside the model that holds the values instead of the model. */
  readonly external?: string;
}

export interface GraphValue {
  readonly name: string;
  /** A name where the length is free. */
  readonly dims: readonly (number | string)[];
  readonly type: "float" | "int64" | "float16";
}

export interface GraphStep {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whole numbers and lists of them, which is all that the operators here take. */
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
}

export interface Graph {
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly constants: readonly GraphTensor[];
  readonly steps: readonly GraphStep[];
}

const typeNumbers = { float: 1, int64: 7, float16: 10 } as const;

/** The bytes of a `.onnx` file. */
export function onnxModel(graph: Graph): Buffer {
  const body = Buffer.concat([
    ...graph.steps.map((step) => message(1, stepBytes(step))),
    text(2, "graph"),
    ...graph.constants.map((tensor) => message(5, tensorBytes(tensor))),
    ...graph.inputs.map((value) => message(11, valueBytes(value))),
    ...graph.outputs.map((value) => message(12, valueBytes(value))),
  ]);
  const operators = message(8, Buffer.concat([text(1, ""), number(2, 17)]));
  return Buffer.concat([number(1, 8), text(2, "octo-test"), message(7, body), operators]);
}

/** The raw bytes of a tensor's values, as an external file holds them. */
export function tensorData({ values, type }: GraphTensor): Buffer {
  const array = type === "int64" ? BigInt64Array.from(values, BigInt) : Float32Array.from(values);
  return Buffer.from(array.buffer);
}

function tensorBytes(tensor: GraphTensor): Buffer {
  const { name, dims, type, external } = tensor;
  const shape = Buffer.concat(dims.map((length) => number(1, length)));
  const head = [shape, number(2, typeNumbers[type ?? "float"]), text(8, name)];
  if (external === undefined) return Buffer.concat([...head, message(9, tensorData(tensor))]);
  const location = Buffer.concat([text(1, "location"), text(2, external)]);
  return Buffer.concat([...head, message(13, location), number(14, 1)]);
}

function valueBytes({ name, dims, type }: GraphValue): Buffer {
  const lengths = dims.map((one) =>
    message(1, typeof one === "number" ? number(1, one) : text(2, one)),
  );
  const shape = message(2, Buffer.concat(lengths));
  const tensor = message(1, Buffer.concat([number(1, typeNumbers[type]), shape]));
  return Buffer.concat([text(1, name), message(2, tensor)]);
}

function stepBytes({ operator, inputs, outputs, attributes }: GraphStep): Buffer {
  const listed = Object.entries(attributes ?? {}).map(([name, value]) => {
    const typed =
      typeof value === "number"
        ? [number(3, value), number(20, 2)]
        : [...value.map((one) => number(8, one)), number(20, 7)];
    return message(5, Buffer.concat([text(1, name), ...typed]));
  });
  return Buffer.concat([
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, operator),
    ...listed,
  ]);
}

/** Protobuf's variable-length number: seven bits a byte, the lowest first. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 128);
  } while (rest !== 0n);
  return Buffer.from(bytes);
}

function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

function message(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function text(field: number, value: string): Buffer {
  return message(field, Buffer.from(value));
}
