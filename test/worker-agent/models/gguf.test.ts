import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readGguf } from "../../../worker-agent/models/gguf.ts";
import { bundledModelPath } from "../../../worker-agent/models/model-source.ts";
import { bitsPerWeight } from "../../../worker-agent/engine/bits-per-weight.ts";
import { readGgufHeader } from "../../../worker-agent/models/gguf-header.ts";
import { tensorTypes } from "../../../worker-agent/models/gguf-types.ts";
import { scratchFolder } from "./scratch-folder.ts";
import { bytes, splitGguf } from "./split-gguf.ts";

const magic = Buffer.from("GGUF");
const values = [
  bytes("general.architecture", 8, "llama"),
  bytes("llama.context_length", 4, 128),
  bytes("llama.block_count", 4, 3),
  bytes("llama.embedding_length", 4, 64),
  bytes("llama.attention.head_count", 4, 8),
];
const tensor = bytes("weights", 1, 64n, 0, 0n);

function file(own: readonly Buffer[] = [], tensors: readonly Buffer[] = [tensor]): Buffer {
  const all = [...values, ...own];
  const head = bytes(magic, 3, BigInt(tensors.length), BigInt(all.length), ...all, ...tensors);
  return Buffer.concat([head, Buffer.alloc(32 - (head.length % 32)), Buffer.alloc(256)]);
}

async function reading(content: Buffer): Promise<() => unknown> {
  await using folder = await scratchFolder();
  const path = join(folder.path, "model.gguf");
  await writeFile(path, content);
  try {
    const read = readGguf(path);
    return () => read;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

describe("reading a GGUF file", () => {
  test("the bundled model is described as it is", () => {
    const path = bundledModelPath();
    expect(readGguf(path)).toEqual({
      path,
      paths: [path],
      fileBytes: 1_898_784,
      architecture: "llama",
      contextTokens: 512,
      quantization: "Q8_0",
      parameterCount: 1_752_800,
      weightBytes: expect.any(Number),
      vocabularySize: 1024,
      chatTemplate: expect.stringContaining("<|im_start|>"),
      // Five layers, five heads of 32, a key and a value, two bytes each.
      cache: {
        bytesPerToken: 5 * 5 * 32 * 2 * 2,
        windowTokens: 0,
        windowBytesPerToken: 0,
        stateBytesPerSlot: 0,
      },
      graphBytesPerToken: expect.any(Number),
    });
  });

  test("a file without head_count_kv caches every head, in every layer", async () => {
    expect((await reading(file()))()).toMatchObject({
      architecture: "llama",
      contextTokens: 128,
      quantization: "F32",
      parameterCount: 64,
      weightBytes: 256,
      chatTemplate: null,
      cache: { bytesPerToken: 3 * 64 * 2 * 2 },
    });
  });

  test("heads may be given layer by layer", async () => {
    const byLayer = bytes("llama.attention.head_count_kv", 9, 4, 3n, 2, 0, 1);
    expect((await reading(file([byLayer])))()).toMatchObject({
      cache: { bytesPerToken: 3 * 16 * 2 },
    });
  });

  const cases: readonly (readonly [string, Buffer, string])[] = [
    ["an empty file", Buffer.alloc(0), "it does not begin with GGUF"],
    ["a web page", Buffer.from("<!doctype html><html></html>"), "it does not begin with GGUF"],
    ["another version", bytes(magic, 1, 1n, 1n), "its GGUF version is 1, not 2 or 3"],
    ["too many tensors", bytes(magic, 3, 2n ** 40n, 1n), "1099511627776 tensors, more than 100000"],
    ["too many values", bytes(magic, 3, 1n, 2n ** 63n), "values, more than 100000"],
    ["no tensors", bytes(magic, 3, 0n, 0n), "it has no tensors"],
    ["a cut header", bytes(magic, 3, 1n), "it ends where 8 more bytes"],
    [
      "a text longer than the file",
      bytes(magic, 3, 1n, 1n, 2n ** 50n),
      "a text of 1125899906842624 bytes",
    ],
    ["an array longer than the file", file([bytes("a", 9, 4, 2n ** 50n)]), "an array of"],
    ["an unknown type of value", file([bytes("a", 13)]), "a value has type 13"],
    [
      "arrays within arrays",
      file([bytes("a", 9, ...Array.from({ length: 6 }, () => [9, 1n]).flat())]),
      "arrays lie",
    ],
    ["a tensor of no dimension", file([], [bytes("w", 0, 0, 0n)]), "tensor w has 0 dimensions"],
    [
      "a tensor of absurd size",
      file([], [bytes("w", 2, 2n ** 40n, 2n ** 40n, 0, 0n)]),
      "tensor w has",
    ],
    [
      "tensors beyond the end",
      file([], [bytes("w", 1, 64_000n, 0, 0n)]),
      "it is truncated: its tensors end at",
    ],
    [
      "one of several parts without its number",
      file([bytes("split.count", 2, Buffer.from([3, 0]))]),
      "it is one of 3 parts, so its name must end in -00001-of-",
    ],
    [
      "an array that would take hours",
      Buffer.concat([file([bytes("a", 9, 0, 2n ** 25n)]), Buffer.alloc(2 ** 25)]),
      "an array has 33554432 values",
    ],
    [
      "a text that would take all memory",
      Buffer.concat([file([bytes("a", 8, 2n ** 25n)]), Buffer.alloc(2 ** 25)]),
      "a text has 33554432 bytes",
    ],
    ["an absurd alignment", file([bytes("general.alignment", 4, 0)]), "its alignment is 0"],
  ];

  test.each(cases)(
    "%s is refused with the rule and the value met",
    async (_name, content, rule) => {
      const read = await reading(content);
      expect(read).toThrow(expect.objectContaining({ code: "bad_file" }));
      expect(read).toThrow(/^Cannot use the model file .*model\.gguf: /);
      expect(read).toThrow(rule);
    },
  );

  test("a download that was cut is refused as truncated", async () => {
    const whole = await readFile(bundledModelPath());
    const read = await reading(whole.subarray(0, whole.length / 2));
    expect(read).toThrow(new RegExp(`its tensors end at byte \\d+ of ${whole.length / 2}`));
  });

  test("a missing file and a folder are named", async () => {
    await using folder = await scratchFolder();
    expect(() => readGguf(join(folder.path, "none.gguf"))).toThrow("there is no such file");
    expect(() => readGguf(folder.path)).toThrow("it is not a file");
  });
});

describe("a model in several files", () => {
  test("is read from all of them, and has what the whole has", async () => {
    await using folder = await scratchFolder();
    const whole = readGguf(bundledModelPath());
    const split = readGguf(await splitGguf(bundledModelPath(), folder.path, 3));
    expect(split).toEqual({
      ...whole,
      path: join(folder.path, "split-00001-of-00003.gguf"),
      paths: [1, 2, 3].map((part) => join(folder.path, `split-0000${part}-of-00003.gguf`)),
      fileBytes: expect.any(Number),
    });
  });

  test("is refused where a part is missing, another part, or not the first", async () => {
    await using folder = await scratchFolder();
    const first = await splitGguf(bundledModelPath(), folder.path, 3);
    const part = (number: number) => join(folder.path, `split-0000${number}-of-00003.gguf`);
    expect(() => readGguf(part(2))).toThrow(`it is part 2 of 3: name the first, ${part(1)}`);
    await writeFile(part(3), await readFile(part(2)));
    expect(() => readGguf(first)).toThrow("it is not part 3 of 3, as its name says");
    await rm(part(3));
    expect(() => readGguf(first)).toThrow(`${part(3)}: there is no such file`);
  });
});

describe("quantization", () => {
  test("INT8 halves FP16 and INT4 quarters it, but for the scales of each block", () => {
    const bits = new Map(
      [...tensorTypes.values()].map((of) => [of.name, (8 * of.blockBytes) / of.blockWeights]),
    );
    expect(bits.get("F16")).toBe(16);
    // A block of 32 weights has one scale of 16 bits: half a bit a weight.
    expect(bits.get("Q8_0")).toBe(16 / 2 + 0.5);
    expect(bits.get("Q4_0")).toBe(16 / 4 + 0.5);
    expect(bits.get("Q4_K")).toBe(16 / 4 + 0.5);
    expect(bits.get("MXFP4")).toBe(16 / 4 + 0.25);
  });

  test("what is told of a file is its size over its weights, metadata aside", () => {
    const path = bundledModelPath();
    const file = readGguf(path);
    const { headerBytes, fileBytes } = readGgufHeader(path);
    expect(fileBytes - file.weightBytes).toBeGreaterThanOrEqual(headerBytes);
    // Tensors begin at multiples of 32 bytes.
    expect(fileBytes - file.weightBytes).toBeLessThan(headerBytes + 32 * 64);
    const told = bitsPerWeight(file) ?? 0;
    expect(told).toBeCloseTo((8 * (fileBytes - headerBytes)) / file.parameterCount, 1);
    // Q8_0 with norms in 32 bits.
    expect(told).toBeGreaterThanOrEqual(8.5);
    expect(told).toBeLessThan(8.6);
  });
});
