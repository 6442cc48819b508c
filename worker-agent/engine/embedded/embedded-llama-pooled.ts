import type { LlamaEmbeddingContext, LlamaModel, LlamaRankingContext } from "node-llama-cpp";
import type { PooledModel, PooledResult } from "./embedded-model.ts";
import { cannot } from "../cannot.ts";
import { EngineError } from "../engine.ts";

/** GGUF's `pooling_type` (llama.cpp, enum llama_pooling_type): 1 mean, 2 cls, 3 last, 4 rank. */
const poolsVectors: readonly unknown[] = [1, 2, 3];
const poolsRanks = 4;

/** Architectures that only make vectors, whose older files name no pooling. */
const encoders = /^(bert|nomic-bert|jina-bert|modern-bert|neo-bert|gemma-embedding)/;

/** Above this, one input alone would take gigabytes: it is evaluated in one batch. */
const contextMax = 8192;

/** What the file says the model is for; null where it generates text. */
export function pooledKindOf(model: LlamaModel): PooledModel["kind"] | null {
  const { architectureMetadata, metadata } = model.fileInfo;
  const pooling: unknown = (architectureMetadata as { pooling_type?: unknown }).pooling_type;
  if (pooling === poolsRanks) return "rerank";
  const isEncoder = encoders.test(metadata.general.architecture);
  return poolsVectors.includes(pooling) || isEncoder ? "embedding" : null;
}

interface Shape {
  readonly contextSize: number;
  readonly threads: number;
  readonly createSignal: AbortSignal;
}

export async function openPooled(
  model: LlamaModel,
  kind: PooledModel["kind"],
  shape: Shape,
): Promise<PooledModel & { readonly memoryBytes: number }> {
  const contextSize = Math.min(shape.contextSize, contextMax);
  // An encoder sees its whole input at once, so that a batch has to hold it.
  const options = { ...shape, contextSize, batchSize: contextSize };
  if (kind === "rerank") return new Ranks(await model.createRankingContext(options), contextSize);
  return new Vectors(await model.createEmbeddingContext(options), contextSize);
}

/** Throws where an input does not fit; gives the tokens of all. */
function countTokens(counts: readonly number[], contextSize: number): number {
  const long = counts.findIndex((count) => count >= contextSize);
  if (long >= 0) {
    const message =
      `Cannot read input ${long}: it has ${counts[long]} tokens, and the model reads at most ` +
      `${contextSize - 1}`;
    throw new EngineError("context_length_exceeded", message);
  }
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Evaluates one after the other, which is what the library's contexts do, and stops between. */
async function each<Input, Value>(
  inputs: readonly Input[],
  signal: AbortSignal,
  run: (input: Input) => Promise<Value>,
): Promise<Value[]> {
  const values: Value[] = [];
  for (const input of inputs) {
    signal.throwIfAborted();
    values.push(await run(input));
  }
  signal.throwIfAborted();
  return values;
}

class Vectors implements PooledModel {
  readonly kind = "embedding";
  readonly #context: LlamaEmbeddingContext;
  readonly #contextSize: number;

  constructor(context: LlamaEmbeddingContext, contextSize: number) {
    this.#context = context;
    this.#contextSize = contextSize;
  }

  get memoryBytes(): number {
    return memoryOf(this.#context);
  }

  async embed(inputs: readonly string[], signal: AbortSignal): Promise<PooledResult<Float32Array>> {
    const counts = inputs.map((input) => this.#context.calculateInputLength(input));
    const promptTokens = countTokens(counts, this.#contextSize);
    const values = await each(inputs, signal, async (input) => {
      const { vector } = await this.#context.getEmbeddingFor(input);
      return toUnitLength(vector);
    });
    return { values, promptTokens };
  }

  rank(): Promise<PooledResult<number>> {
    return Promise.reject(cannot("rank documents"));
  }
}

class Ranks implements PooledModel {
  readonly kind = "rerank";
  readonly #context: LlamaRankingContext;
  readonly #contextSize: number;

  constructor(context: LlamaRankingContext, contextSize: number) {
    this.#context = context;
    this.#contextSize = contextSize;
  }

  get memoryBytes(): number {
    return memoryOf(this.#context);
  }

  embed(): Promise<PooledResult<Float32Array>> {
    return Promise.reject(cannot("make embeddings"));
  }

  async rank(
    query: string,
    documents: readonly string[],
    signal: AbortSignal,
  ): Promise<PooledResult<number>> {
    const length = (document: string) => this.#context.calculateInputLength(query, document);
    const promptTokens = countTokens(documents.map(length), this.#contextSize);
    const values = await each(documents, signal, (document) => this.#context.rank(query, document));
    return { values, promptTokens };
  }
}

/** The library's pooled contexts keep to themselves the context whose memory they take. */
function memoryOf(context: LlamaEmbeddingContext | LlamaRankingContext): number {
  const { _llamaContext: inner } = context as unknown as {
    readonly _llamaContext?: { readonly memoryUsage: { ram: number; vram: number } };
  };
  return inner === undefined ? 0 : inner.memoryUsage.ram + inner.memoryUsage.vram;
}

/** OpenAI's vectors have length one, and callers compare them by their product. */
function toUnitLength(vector: readonly number[]): Float32Array {
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => (length === 0 ? 0 : value / length));
}
