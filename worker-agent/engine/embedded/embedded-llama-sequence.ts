import type {
  LlamaContext,
  LlamaContextSequence,
  LlamaModel,
  SequenceEvaluateOptions,
  Token,
} from "node-llama-cpp";
import { assert } from "../../../shared/assert.ts";
import type { DraftPredictor } from "./embedded-llama-draft.ts";
import type { EmbeddedGrammar } from "./embedded-llama-grammar.ts";
import type {
  LoadedSequence,
  SequenceStart,
  Step,
  Steps,
  StepSettings,
  TokenId,
} from "./embedded-model.ts";
import { hasPenalty } from "./embedded-sampling.ts";

/**
 * llama.cpp evaluates a prompt in batches of this many tokens; an abort waits for one batch at
 * most.
 */
export const batchTokens = 512;
/**
 * Prompts of repeatable answers are evaluated in batches that begin at multiples of this, because
 * the last digits of a result depend on the batch it was computed in. A prompt's reuse is cut down
 * to one of these: small enough that little is computed twice, large enough for full speed.
 */
const repeatableBatchTokens = 128;
/**
 * Bounds the memory of a penalty's history; the text of a long answer beyond it is no longer
 * counted.
 */
const penaltyTokensMax = 8192;

const banned = Number.NEGATIVE_INFINITY;
/**
 * Beside a grammar a ban still leaves a token in reach: llama.cpp does not survive a step in which
 * the one forbids all that the other allows, and a request can ask for that.
 */
const almostBanned = -10_000;

type Library = typeof import("node-llama-cpp");

export interface SequenceParts {
  readonly library: Library;
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  /** Makes the predictor of one sequence; it goes with the sequence. */
  createPredictor(): DraftPredictor | null;
}

/** One sequence of llama.cpp's context, which keeps what it has evaluated from choice to choice. */
export class EmbeddedSequence implements LoadedSequence<EmbeddedGrammar> {
  readonly #parts: SequenceParts;
  #sequence: LlamaContextSequence;
  #predictor: DraftPredictor | null;
  /** Leading tokens that lie in whole batches of `repeatableBatchTokens`. */
  #alignedTokens = 0;

  constructor(parts: SequenceParts) {
    this.#parts = parts;
    this.#predictor = parts.createPredictor();
    this.#sequence = newSequence(parts.context, this.#predictor);
  }

  get heldTokens(): number {
    return this.#sequence.disposed ? 0 : this.#sequence.nextTokenIndex;
  }

  reusable({ prompt, prefix, isRepeatable }: SequenceStart): number {
    if (this.#sequence.disposed) return 0;
    const held = this.#sequence.contextTokens;
    // The last token has to be evaluated anew: what follows it is computed with it.
    const most = Math.min(held.length, prompt.length + prefix.length - 1);
    let common = 0;
    const atPrompt = Math.min(most, prompt.length);
    while (common < atPrompt && held[common] === prompt[common]) common++;
    if (isRepeatable) return wholeBatches(Math.min(common, this.#alignedTokens));
    if (common < prompt.length) return common;
    while (common < most && held[common] === prefix[common - prompt.length]) common++;
    return common;
  }

  async prepare(start: SequenceStart, signal: AbortSignal): Promise<number> {
    const { prompt, prefix, isRepeatable } = start;
    if (this.#sequence.disposed) this.#renew();
    this.#predictor?.switch(false);
    const keep = this.reusable(start);
    const all = prefix.length === 0 ? prompt : [...prompt, ...prefix];
    await this.#sequence.adaptStateToTokens(all.slice(0, keep) as Token[], false);
    // Models that cannot go back to an earlier token keep less, or nothing.
    const kept = this.#sequence.nextTokenIndex;
    assert(kept <= keep, "a sequence keeps no more than what is common");
    this.#alignedTokens = Math.min(this.#alignedTokens, wholeBatches(kept));
    const size = isRepeatable ? repeatableBatchTokens : batchTokens;
    let at = kept;
    for (; prompt.length - at > size && !signal.aborted; at += size) {
      await this.#evaluate(prompt.slice(at, at + size));
      if (isRepeatable && at === this.#alignedTokens) this.#alignedTokens = at + size;
    }
    if (prefix.length > 0) await this.#preparePrefix(start, signal);
    return Math.min(kept, prompt.length);
  }

  /** All of a given beginning but its last token. */
  async #preparePrefix({ prompt, prefix }: SequenceStart, signal: AbortSignal): Promise<void> {
    const at = this.#sequence.nextTokenIndex;
    if (at < prompt.length && !signal.aborted) await this.#evaluate(prompt.slice(at));
    const end = prefix.length - 1;
    for (let from = this.#sequence.nextTokenIndex - prompt.length; from < end;) {
      if (signal.aborted) return;
      const batch = prefix.slice(from, Math.min(end, from + batchTokens));
      await this.#evaluate(batch);
      from += batch.length;
    }
  }

  #evaluate(tokens: readonly TokenId[]): Promise<void> {
    return this.#sequence.evaluateWithoutGeneratingNewTokens(tokens as Token[]);
  }

  steps({ prompt, prefix }: SequenceStart, settings: StepSettings<EmbeddedGrammar>): Steps {
    const at = this.#sequence.nextTokenIndex;
    const rest =
      at < prompt.length ? [...prompt.slice(at), ...prefix] : prefix.slice(at - prompt.length);
    this.#predictor?.switch(settings.isDraftable);
    const metadata = { probabilities: settings.sampling.alternatives !== null };
    const options = this.#options(settings);
    const steps = this.#sequence.evaluateWithMetadata(rest as Token[], metadata, options);
    return steps as AsyncGenerator<Step, void, TokenId | undefined>;
  }

  async replace(): Promise<void> {
    this.#alignedTokens = 0;
    // A new one may be refused by what broke this one: whoever runs next asks for it.
    await this.#sequence.dispose();
  }

  #renew(): void {
    const { context, createPredictor } = this.#parts;
    this.#predictor = createPredictor();
    this.#sequence = newSequence(context, this.#predictor);
  }

  #options(settings: StepSettings<EmbeddedGrammar>): SequenceEvaluateOptions {
    const { sampling, seed, tokensMax } = settings;
    const options: SequenceEvaluateOptions = {
      temperature: sampling.temperature,
      topP: sampling.topP,
      // Null leaves the sampler out; the library's own default would keep 40, and 0 sorts the whole
      // vocabulary.
      topK: sampling.topK > 0 ? sampling.topK : (null as unknown as number),
      minP: sampling.minP,
      seed,
      yieldEogToken: settings.stepsAtEnd,
    };
    if (settings.mayUseGrammar) options.grammarEvaluationState = () => settings.grammar()?.state;
    const { repeatPenalty: penalty, frequencyPenalty, presencePenalty } = sampling;
    if (hasPenalty(sampling)) {
      const maxPunishTokens = Math.min(tokensMax, penaltyTokensMax);
      const punishTokens = (): Token[] => settings.made.slice(-maxPunishTokens) as Token[];
      const penalties = { penalty, frequencyPenalty, presencePenalty };
      options.repeatPenalty = { punishTokens, maxPunishTokens, ...penalties };
    }
    if (sampling.biasByTokenId.size > 0) options.tokenBias = this.#bias(settings);
    return options;
  }

  #bias({
    sampling,
    mayUseGrammar,
  }: StepSettings<EmbeddedGrammar>): InstanceType<Library["TokenBias"]> {
    const bias = this.#parts.library.TokenBias.for(this.#parts.model);
    // The library's own `set` ignores tokens that end an answer, and keeping those away is a common
    // wish.
    const { _biases: logitByToken } = bias as unknown as { readonly _biases: unknown };
    assert(logitByToken instanceof Map, "node-llama-cpp 3.22 keeps biases in a map");
    for (const [id, logit] of sampling.biasByTokenId) {
      // OpenAI: values like -100 ban a token.
      logitByToken.set(id, logit > -100 ? logit : mayUseGrammar ? almostBanned : banned);
    }
    return bias;
  }
}

function newSequence(
  context: LlamaContext,
  tokenPredictor: DraftPredictor | null,
): LlamaContextSequence {
  return context.getSequence(tokenPredictor === null ? {} : { tokenPredictor });
}

function wholeBatches(tokens: number): number {
  return tokens - (tokens % repeatableBatchTokens);
}
