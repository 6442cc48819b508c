import type {
  LlamaContext,
  LlamaContextSequence,
  LlamaModel,
  Token,
  TokenPredictor,
} from "node-llama-cpp";
import { EngineError } from "../engine.ts";

type ResetParams = Parameters<TokenPredictor["reset"]>[0];

/** Tokens guessed at a time: what is guessed wrong was evaluated in vain. */
const guessesMax = 8;
/** A guess less likely than this ends the guessing: more than every third would be wrong. */
const confidenceLeast = 0.6;

/**
 * Guesses a sequence's next tokens by the draft model, greedily and when it is asked: nothing runs
 * beside the answer, so that what is guessed depends on the text alone and not on the clock.
 */
export class DraftPredictor implements TokenPredictor {
  readonly #sequence: LlamaContextSequence;
  #isOn = false;
  /** All tokens of the target, that which is to be evaluated next included. */
  #tokens: Token[] = [];

  constructor(sequence: LlamaContextSequence) {
    this.#sequence = sequence;
  }

  /** Some answers are made without guesses. */
  switch(isOn: boolean): void {
    this.#isOn = isOn;
  }

  reset({ stateTokens }: ResetParams): void {
    if (this.#isOn) this.#tokens = [...stateTokens];
  }

  pushTokens(tokens: Token[]): void {
    if (this.#isOn) this.#tokens.push(...tokens);
  }

  async predictTokens(): Promise<Token[]> {
    const sequence = this.#sequence;
    const tokens = this.#tokens;
    if (!this.#isOn || tokens.length + guessesMax >= sequence.contextSize) return [];
    await sequence.adaptStateToTokens(tokens.slice(0, -1), false);
    const rest = tokens.slice(sequence.nextTokenIndex);
    const guesses: Token[] = [];
    const steps = sequence.evaluateWithMetadata(rest, { confidence: true }, { temperature: 0 });
    for await (const { token, confidence } of steps) {
      if (confidence < confidenceLeast) break;
      guesses.push(token);
      if (guesses.length === guessesMax) break;
    }
    return guesses;
  }

  stop(): void {
    // Nothing of it runs between two calls.
  }

  updateInputTokens(): void {
    // Only the library's own chat sessions tell of their input.
  }

  dispose(): Promise<void> {
    return this.#sequence.dispose();
  }

  [Symbol.dispose](): Promise<void> {
    return this.dispose();
  }
}

/** Makes predictors, each with a sequence of the draft model's context. */
export class Draft {
  readonly #context: LlamaContext;

  constructor(context: LlamaContext) {
    this.#context = context;
  }

  get memoryBytes(): number {
    const { ram, vram } = this.#context.memoryUsage;
    const weights = this.#context.model.memoryUsage;
    return ram + vram + weights.ram + weights.vram;
  }

  createPredictor(): DraftPredictor {
    return new DraftPredictor(this.#context.getSequence());
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
