import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bundledModelPath } from "../../../worker-agent/models/model-source.ts";
import type { Tensor } from "../models/split-gguf.ts";
import { bytes, layOut, takeApart } from "../models/split-gguf.ts";

const width = 160;
const headWidth = 32;
const layers = 5;

/** The bundled model's weights in a file that says it makes vectors: the mean of all tokens'. */
export async function writeEmbeddingModel(folder: string): Promise<string> {
  const { values, valueCount, tensors } = takeApart(await readFile(bundledModelPath()));
  const pooling = bytes("llama.pooling_type", 4, 1);
  const path = join(folder, "vectors.gguf");
  await writeFile(path, layOut([values, pooling], valueCount + 1, tensors));
  return path;
}

/**
 * The same as a reranker: an architecture that has rerankers, the norms it asks for as ones, and a
 * head of two labels.
 */
export async function writeRerankModel(folder: string): Promise<string> {
  const { values, valueCount, tensors } = takeApart(await readFile(bundledModelPath()));
  // Both names have five letters, so that every length stays right.
  const renamed = Buffer.from(values.toString("latin1").replaceAll("llama", "qwen3"), "latin1");
  const pooling = bytes("qwen3.pooling_type", 4, 4);
  const labels = bytes("qwen3.classifier.output_labels", 9, 8, 2n, "yes", "no");
  const ones = Array.from({ length: headWidth }, () => 1);
  const norms = Array.from({ length: layers }, (_, layer) => [
    floats(`blk.${layer}.attn_q_norm.weight`, [headWidth], ones),
    floats(`blk.${layer}.attn_k_norm.weight`, [headWidth], ones),
  ]).flat();
  const head = Array.from({ length: 2 * width }, (_, at) => Math.sin(at) / 100);
  const all = [...tensors, ...norms, floats("cls.output.weight", [width, 2], head)];
  const path = join(folder, "ranks.gguf");
  await writeFile(path, layOut([renamed, pooling, labels], valueCount + 2, all));
  return path;
}

function floats(name: string, dimensions: readonly number[], values: readonly number[]): Tensor {
  const data = Buffer.alloc(values.length * 4);
  for (const [at, value] of values.entries()) data.writeFloatLE(value, at * 4);
  const head = bytes(name, dimensions.length, ...dimensions.map(BigInt), 0);
  return { head, data };
}
