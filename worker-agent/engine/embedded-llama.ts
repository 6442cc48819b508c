import type {
  ChatWrapper,
  Llama,
  LlamaContext,
  LlamaContextSequence,
  LlamaGrammar,
  LlamaModel,
  SequenceEvaluateOptions,
  Token,
} from "node-llama-cpp";
import { assert } from "../../shared/assert.ts";
import type { Log } from "../../shared/log.ts";
import { EmbeddedEngine } from "./embedded-engine.ts";
import type { LoadedModel, LoadedSequence, Step, StepSettings } from "./embedded-model.ts";
import type { HistoryItem } from "./embedded-prompt.ts";
import type { Sampling } from "./embedded-sampling.ts";
import type { Engine, EngineModel } from "./engine.ts";
import { EngineError } from "./engine.ts";

/*
 * The only file that imports node-llama-cpp, and only when an engine is opened: loading it takes a
 * third of a second.
 */

export interface EmbeddedOptions {
  readonly path: string;
  /** What was read from the file; the rest of the engine's description follows from it. */
  readonly model: Omit<EngineModel, "abilities">;
  readonly chatTemplate: string | null;
  /** Threads for decoding; null is the physical cores less one. */
  readonly threads: number | null;
  readonly gpu: "auto" | "none";
  readonly log: Log;
}

/**
 * llama.cpp evaluates a prompt in batches of this many tokens; an abort waits for one batch at
 * most.
 */
const batchTokens = 512;
/**
 * Bounds the memory of a penalty's history; the text of a long answer beyond it is no longer
 * counted.
 */
const penaltyTokensMax = 8192;
/** Loads the model and makes its context. Throws EngineError `out_of_memory` or `engine_failed`. */
export async function openEmbeddedEngine(
  options: EmbeddedOptions,
  signal: AbortSignal,
): Promise<Engine> {
  const library = await import("node-llama-cpp");
  const { LlamaLogLevel, getLlama } = library;
  const isSevere: readonly string[] = [LlamaLogLevel.error, LlamaLogLevel.fatal];
  const llama = await getLlama({
    gpu: options.gpu === "none" ? false : "auto",
    // Never compile or download behind the provider's back: a missing binary is an error said at
    // once.
    build: "never",
    skipDownload: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.warn,
    logger: (level, message) => {
      options.log(isSevere.includes(level) ? "error" : "warn", `llama.cpp: ${message.trim()}`);
    },
    // Splitting threads between generations is llama.cpp's to decide; the context's own number is
    // the limit.
    maxThreads: 0,
  });
  try {
    const model = await llama.loadModel({ modelPath: options.path, loadSignal: signal });
    const context = await model.createContext({
      sequences: options.model.slots,
      contextSize: options.model.contextTokens,
      batchSize: Math.min(batchTokens, options.model.contextTokens),
      threads: options.threads ?? Math.max(1, llama.cpuMathCores - 1),
      createSignal: signal,
    });
    const wrapper = createWrapper(library, options.chatTemplate, options.log);
    const loaded = new EmbeddedModel({ library, llama, model, context, wrapper });
    return new EmbeddedEngine(loaded, options.model);
  } catch (error) {
    await llama.dispose();
    throw loadError(error, options.path);
  }
}

type Library = typeof import("node-llama-cpp");

interface Loaded {
  readonly library: Library;
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly wrapper: ChatWrapper | null;
}

class EmbeddedModel implements LoadedModel<LlamaGrammar> {
  readonly sequences: readonly EmbeddedSequence[];
  readonly vocabulary: LoadedModel<LlamaGrammar>["vocabulary"];
  readonly isChatModel: boolean;
  readonly #loaded: Loaded;

  constructor(loaded: Loaded) {
    this.#loaded = loaded;
    this.isChatModel = loaded.wrapper !== null;
    const { ggml } = loaded.model.fileInfo.metadata.tokenizer;
    this.vocabulary = { tokens: ggml.tokens ?? [], kind: ggml.model };
    const count = loaded.context.totalSequences;
    this.sequences = Array.from({ length: count }, () => new EmbeddedSequence(loaded));
  }

  chatPrompt(history: readonly HistoryItem[]): { prompt: Token[]; endTokens: Set<Token> } {
    const { model, wrapper } = this.#loaded;
    assert(wrapper !== null, "only chat models are asked to chat");
    const { contextText, stopGenerationTriggers } = wrapper.generateContextState({
      chatHistory: [...history],
    });
    const endTokens = new Set<Token>();
    for (const trigger of stopGenerationTriggers) {
      const [first] = trigger.tokenize(model.tokenizer);
      if (first !== undefined && model.isSpecialToken(first)) endTokens.add(first);
    }
    return { prompt: withBeginning(model, contextText.tokenize(model.tokenizer)), endTokens };
  }

  textPrompt(text: string): Token[] {
    const { model } = this.#loaded;
    return withBeginning(model, model.tokenize(text));
  }

  text(tokens: readonly Token[], before: readonly Token[]): string {
    return this.#loaded.model.detokenize(tokens, false, before);
  }

  tokenText(token: Token): string {
    return this.#loaded.model.detokenize([token], true);
  }

  compileGrammar(text: string): Promise<LlamaGrammar> {
    return this.#loaded.llama.createGrammar({ grammar: text });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loaded.context.dispose();
    await this.#loaded.model.dispose();
    await this.#loaded.llama.dispose();
  }
}

class EmbeddedSequence implements LoadedSequence<LlamaGrammar> {
  readonly #loaded: Loaded;
  #sequence: LlamaContextSequence;

  constructor(loaded: Loaded) {
    this.#loaded = loaded;
    this.#sequence = loaded.context.getSequence();
  }

  async *steps(
    prompt: readonly Token[],
    settings: StepSettings<LlamaGrammar>,
    signal: AbortSignal,
  ): AsyncGenerator<Step, void, void> {
    // All batches of the prompt but the last, of which the first token comes.
    let at = 0;
    for (; prompt.length - at > batchTokens && !signal.aborted; at += batchTokens) {
      const batch = prompt.slice(at, at + batchTokens);
      await this.#sequence.evaluateWithoutGeneratingNewTokens(batch);
    }
    if (signal.aborted) return;
    const metadata = { probabilities: settings.sampling.alternatives !== null };
    const options = this.#options(settings);
    yield* this.#sequence.evaluateWithMetadata(prompt.slice(at), metadata, options);
  }

  async clear(): Promise<void> {
    try {
      await this.#sequence.clearHistory();
    } catch {
      // The sequence broke with the choice that ran on it: a new one takes its place.
      await this.#sequence.dispose();
      if (!this.#loaded.context.disposed) this.#sequence = this.#loaded.context.getSequence();
    }
  }

  #options(settings: StepSettings<LlamaGrammar>): SequenceEvaluateOptions {
    const { sampling, seed, grammar, tokensMax, made } = settings;
    const { library, model } = this.#loaded;
    const options: SequenceEvaluateOptions = {
      temperature: sampling.temperature,
      topP: sampling.topP,
      // Null leaves the sampler out; the library's own default would keep 40, and 0 sorts the whole
      // vocabulary.
      topK: sampling.topK > 0 ? sampling.topK : (null as unknown as number),
      minP: sampling.minP,
      seed,
    };
    if (grammar !== null) {
      options.grammarEvaluationState = new library.LlamaGrammarEvaluationState({ model, grammar });
    }
    const { repeatPenalty: penalty, frequencyPenalty, presencePenalty } = sampling;
    if (penalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0) {
      const maxPunishTokens = Math.min(tokensMax, penaltyTokensMax);
      const punishTokens = (): Token[] => made.slice(-maxPunishTokens) as Token[];
      const penalties = { penalty, frequencyPenalty, presencePenalty };
      options.repeatPenalty = { punishTokens, maxPunishTokens, ...penalties };
    }
    if (sampling.biasByTokenId.size > 0) options.tokenBias = this.#bias(sampling);
    return options;
  }

  #bias(sampling: Sampling): InstanceType<Library["TokenBias"]> {
    const bias = this.#loaded.library.TokenBias.for(this.#loaded.model);
    // The library's own `set` ignores tokens that end an answer, and keeping those away is a common
    // wish.
    const { _biases: logitByToken } = bias as unknown as { readonly _biases: unknown };
    assert(logitByToken instanceof Map, "node-llama-cpp 3.22 keeps biases in a map");
    for (const [id, logit] of sampling.biasByTokenId) {
      // OpenAI: values like -100 ban a token.
      logitByToken.set(id, logit <= -100 ? Number.NEGATIVE_INFINITY : logit);
    }
    return bias;
  }
}

/**
 * Prompts begin with the model's own first token where it was trained so and the template did not
 * write it.
 */
function withBeginning(model: LlamaModel, tokens: Token[]): Token[] {
  const { bos, shouldPrependBosToken } = model.tokens;
  if (bos !== null && shouldPrependBosToken && tokens[0] !== bos) return [bos, ...tokens];
  const start = bos ?? model.tokens.eos;
  // An empty completion prompt has to begin somewhere.
  return tokens.length === 0 && start !== null ? [start] : tokens;
}

function createWrapper(library: Library, template: string | null, log: Log): ChatWrapper | null {
  if (template === null) return null;
  try {
    return new library.JinjaTemplateChatWrapper({
      template,
      reasoning: null,
      trimLeadingWhitespaceInResponses: false,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : "unknown";
    log("warn", "the model's chat template cannot be used, so it serves no chats", { reason });
    return null;
  }
}

function loadError(cause: unknown, path: string): unknown {
  if (!(cause instanceof Error) || cause.name === "AbortError") return cause;
  if (/insufficient memory|not enough|too large|out of memory|vram/i.test(cause.message)) {
    const message = `Cannot load ${path}: there is not enough memory for it (${cause.message})`;
    return new EngineError("out_of_memory", message, { cause });
  }
  const message = `Cannot load ${path}: ${cause.message}`;
  return new EngineError("engine_failed", message, { cause });
}
