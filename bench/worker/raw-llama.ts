import { getLlama, LlamaLogLevel } from "node-llama-cpp";
import type { LlamaContextSequence, Token, TokenBias } from "node-llama-cpp";
import { TokenBias as TokenBiases } from "node-llama-cpp";

/** One generation, the same on every side: a short prompt, sampled, never ended by the model. */
export interface Decoding {
  readonly prompt: string;
  readonly tokens: number;
  /** Tokens that end an answer. */
  readonly endTokens: readonly number[];
}

/** What the engine of a worker is given too, so that both sides compute the same. */
export interface RawShape {
  readonly path: string;
  readonly slots: number;
  readonly contextTokens: number;
  readonly batchTokens: number;
  readonly threads: number;
}

/**
 * The limit: node-llama-cpp's own `evaluate` in a loop that only counts the tokens, without making
 * text of them.
 */
export class RawLlama implements AsyncDisposable {
  readonly #sequences: readonly LlamaContextSequence[];
  readonly #dispose: () => Promise<void>;

  private constructor(sequences: readonly LlamaContextSequence[], dispose: () => Promise<void>) {
    this.#sequences = sequences;
    this.#dispose = dispose;
  }

  static async open(shape: RawShape): Promise<RawLlama> {
    const llama = await getLlama({
      gpu: false,
      build: "never",
      skipDownload: true,
      progressLogs: false,
      logLevel: LlamaLogLevel.error,
      maxThreads: 0,
    });
    const model = await llama.loadModel({ modelPath: shape.path });
    const context = await model.createContext({
      sequences: shape.slots,
      contextSize: shape.contextTokens,
      batchSize: shape.batchTokens,
      threads: shape.threads,
    });
    const sequences = Array.from({ length: shape.slots }, () => context.getSequence());
    return new RawLlama(sequences, () => llama.dispose());
  }

  /** So many generations at once; gives how many tokens they made in all. */
  async run(decoding: Decoding, streams: number): Promise<number> {
    const sequences = this.#sequences.slice(0, streams);
    const made = await Promise.all(
      sequences.map((sequence, seed) => decode(sequence, decoding, seed)),
    );
    return made.reduce((sum, tokens) => sum + tokens, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispose();
  }
}

async function decode(
  sequence: LlamaContextSequence,
  { prompt, tokens, endTokens }: Decoding,
  seed: number,
): Promise<number> {
  const { model } = sequence;
  await sequence.clearHistory();
  const options = { temperature: 1, topP: 1, minP: 0, seed, tokenBias: banned(model, endTokens) };
  // Null leaves the sampler out, as on the other side.
  const steps = sequence.evaluate(model.tokenize(prompt), {
    ...options,
    topK: null as unknown as number,
  });
  let made = 0;
  for await (const _ of steps) {
    made += 1;
    if (made >= tokens) break;
  }
  return made;
}

function banned(model: LlamaContextSequence["model"], endTokens: readonly number[]): TokenBias {
  const bias = TokenBiases.for(model);
  const { _biases: logitByToken } = bias as unknown as { readonly _biases: Map<Token, number> };
  for (const token of endTokens) logitByToken.set(token as Token, Number.NEGATIVE_INFINITY);
  return bias;
}
