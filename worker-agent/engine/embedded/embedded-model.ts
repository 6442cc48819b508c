import type { ChatPrompt, ChatPromptRequest } from "./embedded-prompt.ts";
import type { Sampling } from "./embedded-sampling.ts";
import type { EngineStats } from "../engine.ts";
import type { ToolFormat } from "../tools/tool-format.ts";

/** A token's number in the model's vocabulary. */
export type TokenId = number;

/**
 * One step of decoding; the probabilities, most likely first, come only where they were asked for.
 */
export interface Step {
  readonly token: TokenId;
  readonly probabilities?: ReadonlyMap<TokenId, number>;
}

/** How far a grammar has come in one answer. */
export interface GrammarState {
  /** Takes a token that was made already. False, and nothing taken, where it does not fit. */
  accept(token: TokenId): boolean;
}

/** Steps of decoding; a token that is given to `next` takes the place of the one before. */
export type Steps = AsyncIterator<Step, unknown, TokenId | undefined>;

/** What a sequence is to hold before its first step. */
export interface SequenceStart {
  readonly prompt: readonly TokenId[];
  /** Tokens of the answer itself that are given: evaluated after the prompt. */
  readonly prefix: readonly TokenId[];
  /** The answer must not depend on what the sequence holds by chance: see E2. */
  readonly isRepeatable: boolean;
}

/** How one choice is decoded. */
export interface StepSettings<Grammar extends GrammarState> {
  readonly sampling: Sampling;
  /** 32 bits. */
  readonly seed: number;
  /** False where `grammar` will never give one, which spares asking for every token. */
  readonly mayUseGrammar: boolean;
  /** The grammar in force for the next token, if there is one. */
  grammar(): Grammar | null;
  readonly tokensMax: number;
  /** The tokens of this answer so far, for penalties; grows while it runs. */
  readonly made: readonly TokenId[];
  /** A draft model may propose tokens. */
  readonly isDraftable: boolean;
  /** A token that ends an answer is a step as well, and not the end of the steps. */
  readonly stepsAtEnd: boolean;
}

/** One sequence of the context. Only one choice runs on it at a time. */
export interface LoadedSequence<Grammar extends GrammarState> {
  /** How many leading tokens of `start.prompt` it could keep. */
  reusable(start: SequenceStart): number;
  /** How many tokens it holds. */
  readonly heldTokens: number;
  /**
   * Makes it hold `start` but for the last token, reusing what it holds; gives how many tokens of
   * the prompt it kept. An abort waits for one batch at most.
   */
  prepare(start: SequenceStart, signal: AbortSignal): Promise<number>;
  /**
   * Generates after `prepare`, until a token of the model's own ends it. Returning it leaves the
   * evaluated tokens in the sequence.
   */
  steps(start: SequenceStart, settings: StepSettings<Grammar>): Steps;
  /** Puts an empty sequence in the place of one that failed. */
  replace(): Promise<void>;
}

/** Vectors and their cost in tokens. */
export interface PooledResult<Value> {
  readonly values: readonly Value[];
  readonly promptTokens: number;
}

/** A model that makes one vector, or one score, of a text. */
export interface PooledModel {
  readonly kind: "embedding" | "rerank";
  embed(inputs: readonly string[], signal: AbortSignal): Promise<PooledResult<Float32Array>>;
  rank(
    query: string,
    documents: readonly string[],
    signal: AbortSignal,
  ): Promise<PooledResult<number>>;
}

/** What computes: `cpu` where there is no GPU, or where none was wanted. */
export type EngineBackend = "cuda" | "vulkan" | "metal" | "cpu";

/**
 * A model in memory, in the terms of this engine: what `embedded-llama.ts` makes of node-llama-cpp.
 */
export interface LoadedModel<Compiled, Grammar extends GrammarState> extends AsyncDisposable {
  /** None where the model only makes vectors or scores. */
  readonly sequences: readonly LoadedSequence<Grammar>[];
  readonly pooled: PooledModel | null;
  readonly backend: EngineBackend;
  readonly vocabulary: { readonly tokens: readonly string[]; readonly kind: string };
  /** Whether the model has a chat template that works. */
  readonly isChatModel: boolean;
  /** How this model writes calls of tools. */
  readonly toolFormat: ToolFormat;
  /** Tokens of the template's that this form is written with: text of theirs counts. */
  readonly toolMarks: ReadonlySet<TokenId>;
  /** The prompt of a conversation, and the tokens that end an answer beside the model's own. */
  chatPrompt(request: ChatPromptRequest): ChatPrompt;
  /** Whether the model's own vocabulary ends an answer with this token. */
  isEnd(token: TokenId): boolean;
  textPrompt(text: string): readonly TokenId[];
  /** The tokens of a text that stands after other text. */
  tokensOf(text: string): readonly TokenId[];
  /** The text of `tokens` after `before`; tokens of the template have none. */
  text(tokens: readonly TokenId[], before: readonly TokenId[]): string;
  /** One token's text alone, that of the template's tokens too. */
  tokenText(token: TokenId): string;
  /** Throws where llama.cpp does not accept the grammar (GBNF). */
  compileGrammar(text: string): Promise<Compiled>;
  beginGrammar(compiled: Compiled): Grammar;
  memoryBytes(): EngineStats["memoryBytes"];
}
