import type {
  LlamaContext,
  LlamaContextSequence,
  LlamaModel,
  Token,
  TokenPredictor,
} from "node-llama-cpp";
import { EngineError } from "./engine.ts";

type Library = typeof import("node-llama-cpp");
type ResetParams = Parameters<TokenPredictor["reset"]>[0];

/**
 * A predictor that can be switched off between answers: what a draft model proposes in time depends
 * on the clock, and some answers must not.
 */
export class SwitchedPredictor implements TokenPredictor {
  readonly #inner: TokenPredictor;
  readonly #sequence: LlamaContextSequence;
  #isOn = false;

  constructor(library: Library, sequence: LlamaContextSequence) {
    this.#sequence = sequence;
    this.#inner = new library.DraftSequenceTokenPredictor(sequence);
  }

  switch(isOn: boolean): void {
    if (this.#isOn && !isOn) void this.#inner.stop();
    this.#isOn = isOn;
  }

  reset(params: ResetParams): Promise<void> | void {
    return this.#isOn ? this.#inner.reset(params) : undefined;
  }

  pushTokens(tokens: Token[]): void {
    if (this.#isOn) this.#inner.pushTokens(tokens);
  }

  predictTokens(): Promise<Token[]> | Token[] {
    return this.#isOn ? this.#inner.predictTokens() : [];
  }

  stop(untilPredictionsExhausted?: boolean): Promise<void> | void {
    return this.#inner.stop(untilPredictionsExhausted);
  }

  updateInputTokens(tokens: Token[]): void {
    if (this.#isOn) this.#inner.updateInputTokens(tokens);
  }

  async dispose(): Promise<void> {
    await this.#inner.dispose();
    await this.#sequence.dispose();
  }

  [Symbol.dispose](): void | Promise<void> {
    return this.dispose();
  }
}

/** Makes predictors, each with a sequence of the draft model's context. */
export class Draft {
  readonly #library: Library;
  readonly #context: LlamaContext;

  constructor(library: Library, context: LlamaContext) {
    this.#library = library;
    this.#context = context;
  }

  get memoryBytes(): number {
    const { ram, vram } = this.#context.memoryUsage;
    const weights = this.#context.model.memoryUsage;
    return ram + vram + weights.ram + weights.vram;
  }

  createPredictor(): SwitchedPredictor {
    return new SwitchedPredictor(this.#library, this.#context.getSequence());
  }
}

/** Throws where the draft model's tokens mean something else than the model's. */
export function assertSameVocabulary(model: LlamaModel, draft: LlamaModel, path: string): void {
  const own = model.fileInfo.metadata.tokenizer.ggml;
  const other = draft.fileInfo.metadata.tokenizer.ggml;
  const tokens = own.tokens ?? [];
  const isSame =
    own.model === other.model &&
    tokens.length === other.tokens?.length &&
    tokens.every((token, id) => token === other.tokens?.[id]);
  if (isSame) return;
  const message =
    `Cannot use ${path} as the draft model: its vocabulary is not the model's ` +
    `(${other.tokens?.length ?? 0} tokens beside ${tokens.length}); choose one of the same family`;
  throw new EngineError("engine_failed", message);
}
