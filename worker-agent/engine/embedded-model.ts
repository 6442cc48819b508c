import type { HistoryItem } from "./embedded-prompt.ts";
import type { Sampling } from "./embedded-sampling.ts";

/** A token's number in the model's vocabulary. */
export type TokenId = number;

/**
 * One step of decoding; the probabilities, most likely first, come only where they were asked for.
 */
export interface Step {
  readonly token: TokenId;
  readonly probabilities?: ReadonlyMap<TokenId, number>;
}

/** How one choice is decoded. */
export interface StepSettings<Grammar> {
  readonly sampling: Sampling;
  /** 32 bits. */
  readonly seed: number;
  readonly grammar: Grammar | null;
  readonly tokensMax: number;
  /** The tokens of this choice so far, for penalties; grows while it runs. */
  readonly made: readonly TokenId[];
}

/** One sequence of the context. Only one choice runs on it at a time. */
export interface LoadedSequence<Grammar> {
  /**
   * Evaluates `prompt` and generates, until a token of the model's own ends it. An abort waits for
   * one batch at most.
   */
  steps(
    prompt: readonly TokenId[],
    settings: StepSettings<Grammar>,
    signal: AbortSignal,
  ): AsyncIterable<Step>;
  /** Forgets everything, whatever state a generation left it in. */
  clear(): Promise<void>;
}

/**
 * A model in memory, in the terms of this engine: what `embedded-llama.ts` makes of node-llama-cpp.
 */
export interface LoadedModel<Grammar> extends AsyncDisposable {
  readonly sequences: readonly LoadedSequence<Grammar>[];
  readonly vocabulary: { readonly tokens: readonly string[]; readonly kind: string };
  /** Whether the model has a chat template that works. */
  readonly isChatModel: boolean;
  /** The prompt of a conversation, and the tokens that end an answer beside the model's own. */
  chatPrompt(history: readonly HistoryItem[]): {
    readonly prompt: readonly TokenId[];
    readonly endTokens: ReadonlySet<TokenId>;
  };
  textPrompt(text: string): readonly TokenId[];
  /** The text of `tokens` after `before`; tokens of the template have none. */
  text(tokens: readonly TokenId[], before: readonly TokenId[]): string;
  /** One token's text alone, that of the template's tokens too. */
  tokenText(token: TokenId): string;
  /** Throws where llama.cpp does not accept the grammar (GBNF). */
  compileGrammar(text: string): Promise<Grammar>;
}
