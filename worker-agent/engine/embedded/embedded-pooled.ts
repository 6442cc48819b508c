import { toBase64 } from "../../../shared/crypto/bytes.ts";
import { cannot } from "../cannot.ts";
import type { PooledModel } from "./embedded-model.ts";
import type { ResultAnswer, ResultTask } from "../engine.ts";

/** Answers a task by a model of vectors or scores; what it cannot do is `invalid_request`. */
export async function performPooled(
  task: ResultTask,
  pooled: PooledModel,
  signal: AbortSignal,
): Promise<ResultAnswer> {
  if (task.kind === "embedding" && pooled.kind === "embedding") {
    const { input, dimensions } = task.request;
    // Whether the first numbers of a vector mean anything alone is written in no model's file.
    if (typeof dimensions === "number") throw cannot("give vectors of fewer dimensions");
    const inputs = typeof input === "string" ? [input] : input;
    const { values, promptTokens } = await pooled.embed(inputs, signal);
    const vectors = values.map((vector) => toBase64(littleEndian(vector)));
    return { result: { vectors }, usage: { prompt: promptTokens, completion: 0, cached: 0 } };
  }
  if (task.kind === "rerank" && pooled.kind === "rerank") {
    const { query, documents } = task.request;
    const { values, promptTokens } = await pooled.rank(query, documents, signal);
    const usage = { prompt: promptTokens, completion: 0, cached: 0 };
    return { result: { scores: [...values] }, usage };
  }
  throw cannot(`serve a task of the kind ${task.kind}`);
}

function littleEndian(vector: Float32Array): Uint8Array {
  const bytes = new Uint8Array(vector.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of vector.entries()) view.setFloat32(index * 4, value, true);
  return bytes;
}
