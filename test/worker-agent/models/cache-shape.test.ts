import { describe, expect, test } from "vitest";
import { getLlama } from "node-llama-cpp";
import { cacheShape } from "../../../worker-agent/models/cache-shape.ts";
import { readGguf } from "../../../worker-agent/models/gguf.ts";
import type { Value } from "../../../worker-agent/models/gguf-header.ts";
import { memoryNeed } from "../../../worker-agent/models/memory.ts";
import { bundledModelPath } from "../../../worker-agent/models/model-source.ts";

function shapeOf(architecture: string, values: Readonly<Record<string, Value>>) {
  const own = Object.entries(values).map(([key, value]) => [`${architecture}.${key}`, value]);
  return cacheShape(new Map(own as [string, Value][]), architecture);
}

const none = { windowTokens: 0, windowBytesPerToken: 0, stateBytesPerSlot: 0 };
const dense = {
  block_count: 4,
  context_length: 8192,
  embedding_length: 64,
  "attention.head_count": 8,
};

describe("the cache of a model", () => {
  test("grouped queries share keys and values", () => {
    // Two heads of 64 / 8 numbers, a key and a value, in four layers.
    const shape = shapeOf("llama", { ...dense, "attention.head_count_kv": 2 });
    expect(shape).toEqual({ ...none, bytesPerToken: 4 * 2 * (8 + 8) * 2 });
  });

  test("keys and values may have sizes of their own", () => {
    const sizes = { "attention.key_length": 32, "attention.value_length": 16 };
    const shape = shapeOf("qwen3", { ...dense, ...sizes, "attention.head_count_kv": 1 });
    expect(shape).toEqual({ ...none, bytesPerToken: 4 * (32 + 16) * 2 });
  });

  test("latent attention keeps one compressed vector and no values", () => {
    const latent = {
      "attention.head_count_kv": 1,
      "attention.key_length": 576,
      "attention.value_length": 512,
      "attention.key_length_mla": 192,
    };
    const shape = shapeOf("deepseek2", { ...dense, ...latent });
    expect(shape).toEqual({ ...none, bytesPerToken: 4 * 576 * 2 });
  });

  test("layers with a window keep that alone, by the file's pattern or the architecture's", () => {
    const window = { ...dense, "attention.head_count_kv": 1, "attention.sliding_window": 1024 };
    const layer = (8 + 8) * 2;
    const alternating = { windowTokens: 1024, stateBytesPerSlot: 0, bytesPerToken: 2 * layer };
    expect(shapeOf("gemma2", window)).toEqual({ ...alternating, windowBytesPerToken: 2 * layer });
    const told = { ...window, "attention.sliding_window_pattern": [1, 1, 1, 0] };
    const one = { ...alternating, bytesPerToken: layer, windowBytesPerToken: 3 * layer };
    expect(shapeOf("gemma4", told)).toEqual(one);
    // Of a window that llama.cpp does not know of, or that is no shorter than the context, all is
    // kept.
    expect(shapeOf("llama", window)).toEqual({ ...none, bytesPerToken: 4 * layer });
    const long = { ...window, "attention.sliding_window": 8192 };
    expect(shapeOf("gemma2", long)).toEqual({ ...none, bytesPerToken: 4 * layer });
  });

  test("layers that read the cache of earlier ones add nothing", () => {
    const sharing = { "attention.head_count_kv": 1, "attention.shared_kv_layers": 3 };
    const shape = shapeOf("llama", { ...dense, ...sharing });
    expect(shape).toEqual({ ...none, bytesPerToken: (8 + 8) * 2 });
  });

  test("recurrent layers have a state in place of a cache", () => {
    const hybrid = {
      ...dense,
      "attention.head_count_kv": 1,
      full_attention_interval: 4,
      "ssm.conv_kernel": 4,
      "ssm.inner_size": 128,
      "ssm.group_count": 2,
      "ssm.state_size": 16,
    };
    const state = 4 * (3 * (128 + 2 * 2 * 16) + 16 * 128);
    const expected = { ...none, bytesPerToken: (8 + 8) * 2, stateBytesPerSlot: 3 * state };
    expect(shapeOf("qwen3next", hybrid)).toEqual(expected);
  });

  test("a header that claims countless layers is not counted to the end", () => {
    const shape = shapeOf("llama", { ...dense, block_count: 2 ** 52 });
    expect(shape.bytesPerToken).toBe(4096 * 8 * (8 + 8) * 2);
  });
});

test("the cache of the bundled model is as large as llama.cpp's own", async () => {
  const file = readGguf(bundledModelPath());
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    progressLogs: false,
  });
  try {
    const model = await llama.loadModel({ modelPath: file.path });
    const tokens = model.tokenize("one two three four ".repeat(80));
    const sizes: number[] = [];
    for (const count of [64, 256]) {
      await using context = await model.createContext({ sequences: 1, contextSize: 512 });
      await context.getSequence().evaluateWithoutGeneratingNewTokens(tokens.slice(0, count));
      sizes.push(context.stateSize);
    }
    // A state is the cache of the tokens evaluated, and some bytes of bookkeeping for each.
    const perToken = ((sizes[1] ?? 0) - (sizes[0] ?? 0)) / (256 - 64);
    expect(perToken).toBeGreaterThanOrEqual(file.cache.bytesPerToken);
    expect(perToken).toBeLessThan(file.cache.bytesPerToken + 32);
    // All that a context takes is within what is reserved for it.
    const context = await model.createContext({ sequences: 4, contextSize: 512 });
    const need = memoryNeed(file, { slots: 4, contextTokens: 512 });
    const taken = context.memoryUsage.ram;
    expect(taken).toBeGreaterThan(need.cacheBytes);
    expect(taken).toBeLessThan(need.cacheBytes + need.overheadBytes);
  } finally {
    await llama.dispose();
  }
});
