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
import type { Ability } from "../../shared/openai/demands.ts";
import type { Finish, FinishReason, OutputPart, TokenLogprob } from "../../shared/openai/output.ts";
import type { Log } from "../../shared/log.ts";
import type { TokenNames } from "./embedded-logprobs.ts";
import { tokenLogprob } from "./embedded-logprobs.ts";
import { historyOf } from "./embedded-prompt.ts";
import type { Sampling } from "./embedded-sampling.ts";
import { choiceSeed, readSampling } from "./embedded-sampling.ts";
import type { Engine, EngineEvent, EngineModel, EngineTask } from "./engine.ts";
import { EngineError } from "./engine.ts";
import { jsonObjectGrammar, jsonSchemaGrammar } from "./json-grammar.ts";
import { mergeChoices } from "./merge-choices.ts";
import { PartAssembler } from "./part-assembler.ts";
import { SlotPool } from "./slot-pool.ts";
import { tokenBytes } from "./token-bytes.ts";
import { TokenDecoder } from "./token-decoder.ts";
import { tokenLimit } from "./token-limit.ts";

/*
 * The embedded engine: llama.cpp inside this process, through node-llama-cpp. The only file that imports it, and only
 * when an engine is opened, because loading it takes a third of a second.
 *
 * E1. One model and one context; a slot is one sequence of it, so that running generations share each decoding step.
 * E2. A slot is given back cleared, whatever ended the generation on it.
 * E3. The context is never shifted: a generation ends with `length` before it would overwrite its own beginning.
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

/** llama.cpp evaluates a prompt in batches of this many tokens; an abort waits for one batch at most. */
const batchTokens = 512;
/** Bounds the memory of a penalty's history; the text of a long answer beyond it is no longer counted. */
const penaltyTokensMax = 8192;
/** Compiled grammars kept: agents send the same few schemas again and again. */
const grammarsMax = 16;

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
    // Never compile or download behind the provider's back: a missing binary is an error said at once.
    build: "never",
    skipDownload: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.warn,
    logger: (level, message) => {
      options.log(isSevere.includes(level) ? "error" : "warn", `llama.cpp: ${message.trim()}`);
    },
    // Splitting threads between generations is llama.cpp's to decide; the context's own number is the limit.
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
    return new EmbeddedEngine({ library, llama, model, context, wrapper }, options.model);
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

/** A task made ready: everything its choices have in common. */
interface Plan {
  readonly prompt: readonly Token[];
  readonly sampling: Sampling;
  readonly tokensMax: number;
  readonly grammar: LlamaGrammar | null;
  readonly stopTokens: ReadonlySet<Token>;
  readonly seed: number;
}

interface ChoiceEnd {
  /** Null where it was aborted. */
  readonly reason: FinishReason | null;
  readonly tokens: number;
  readonly isPromptRead: boolean;
}

/** One step of decoding; the probabilities come only where they were asked for. */
interface Step {
  readonly token: Token;
  readonly probabilities?: ReadonlyMap<Token, number>;
}

interface Slot {
  sequence: LlamaContextSequence;
}

class EmbeddedEngine implements Engine {
  readonly kind = "llama.cpp";
  readonly model: EngineModel;
  readonly #loaded: Loaded;
  readonly #pool: SlotPool<Slot>;
  readonly #vocabulary: { readonly tokens: readonly string[]; readonly kind: string };
  readonly #grammarByText = new Map<string, Promise<LlamaGrammar>>();

  constructor(loaded: Loaded, model: Omit<EngineModel, "abilities">) {
    this.#loaded = loaded;
    this.model = { ...model, abilities: abilitiesOf(loaded.wrapper !== null) };
    const slots = Array.from({ length: model.slots }, () => ({
      sequence: loaded.context.getSequence(),
    }));
    this.#pool = new SlotPool(slots);
    const { ggml } = loaded.model.fileInfo.metadata.tokenizer;
    this.#vocabulary = { tokens: ggml.tokens ?? [], kind: ggml.model };
  }

  async *generate(task: EngineTask, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    const plan = await this.#plan(task);
    const stop = new AbortController();
    // One choice alone ends when it is returned; several must also end when one of them fails.
    const isAlone = plan.sampling.choices === 1;
    const either = isAlone ? signal : AbortSignal.any([signal, stop.signal]);
    const sources = Array.from({ length: plan.sampling.choices }, (_, index) =>
      this.#choice(plan, index, either),
    );
    const merged = mergeChoices(sources, () => stop.abort());
    let next = await merged.next();
    try {
      for (; next.done !== true; next = await merged.next()) {
        yield { kind: "part", part: next.value };
      }
    } finally {
      await merged.return([]);
    }
    const finishes: Finish[] = [];
    let completion = 0;
    for (const [index, { reason, tokens }] of next.value.entries()) {
      completion += tokens;
      if (reason !== null) finishes.push({ index, reason });
    }
    const isPromptRead = next.value.some((end) => end.isPromptRead);
    const usage = { prompt: isPromptRead ? plan.prompt.length : 0, completion, cached: 0 };
    yield { kind: "end", finishes, usage };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loaded.context.dispose();
    await this.#loaded.model.dispose();
    await this.#loaded.llama.dispose();
  }

  async #plan(task: EngineTask): Promise<Plan> {
    const sampling = readSampling(task);
    const { prompt, stopTokens } = this.#prompt(task);
    const tokensMax = tokenLimit(task, prompt.length, this.model.contextTokens);
    const vocabularySize = this.#vocabulary.tokens.length;
    for (const id of sampling.biasByTokenId.keys()) {
      if (id < vocabularySize) continue;
      const message = `Cannot bias token ${id}: the model has ${vocabularySize} tokens`;
      throw new EngineError("invalid_request", message);
    }
    const grammar = await this.#grammar(task);
    const seed = sampling.seed ?? Math.floor(Math.random() * 2 ** 32);
    return { prompt, sampling, tokensMax, grammar, stopTokens, seed };
  }

  #prompt(task: EngineTask): { prompt: readonly Token[]; stopTokens: ReadonlySet<Token> } {
    const { model, wrapper } = this.#loaded;
    if (task.kind === "completion") {
      const { prompt } = task.request;
      const text = typeof prompt === "string" ? prompt : (prompt[0] ?? "");
      return { prompt: withBeginning(model, model.tokenize(text)), stopTokens: new Set() };
    }
    if (wrapper === null) {
      throw new EngineError("invalid_request", "Cannot chat: this model has no chat template");
    }
    const history = historyOf(task.request.messages);
    const { contextText, stopGenerationTriggers } = wrapper.generateContextState({
      chatHistory: history,
    });
    const stopTokens = new Set<Token>();
    for (const trigger of stopGenerationTriggers) {
      const [first] = trigger.tokenize(model.tokenizer);
      if (first !== undefined && model.isSpecialToken(first)) stopTokens.add(first);
    }
    return { prompt: withBeginning(model, contextText.tokenize(model.tokenizer)), stopTokens };
  }

  async #grammar(task: EngineTask): Promise<LlamaGrammar | null> {
    const format = task.kind === "chat" ? task.request.response_format : null;
    if (!format || format.type === "text") return null;
    const schema = format.type === "json_schema" ? format.json_schema.schema : undefined;
    const text = schema === undefined ? jsonObjectGrammar : jsonSchemaGrammar(schema);
    const known = this.#grammarByText.get(text);
    if (known !== undefined) return known;
    const [oldest] = this.#grammarByText.keys();
    if (this.#grammarByText.size >= grammarsMax && oldest !== undefined) {
      this.#grammarByText.delete(oldest);
    }
    const compiled = this.#loaded.llama.createGrammar({ grammar: text }).catch((cause: unknown) => {
      this.#grammarByText.delete(text);
      const message = "Cannot keep the JSON schema: llama.cpp does not accept its grammar";
      throw new EngineError("invalid_request", message, { cause });
    });
    this.#grammarByText.set(text, compiled);
    return compiled;
  }

  async *#choice(
    plan: Plan,
    index: number,
    signal: AbortSignal,
  ): AsyncGenerator<OutputPart, ChoiceEnd, void> {
    const slot = await this.#pool.take(signal);
    if (slot === null) return { reason: null, tokens: 0, isPromptRead: false };
    try {
      return yield* this.#generateOn(slot.sequence, plan, { index, signal });
    } catch (cause) {
      if (cause instanceof EngineError) throw cause;
      throw new EngineError("engine_failed", "The engine failed while generating", { cause });
    } finally {
      await this.#clear(slot);
      this.#pool.give(slot);
    }
  }

  async *#generateOn(
    sequence: LlamaContextSequence,
    plan: Plan,
    choice: { readonly index: number; readonly signal: AbortSignal },
  ): AsyncGenerator<OutputPart, ChoiceEnd, void> {
    const { signal, index } = choice;
    const { model } = this.#loaded;
    const assembler = new PartAssembler(index, plan.sampling.stops);
    const decoder = new TokenDecoder<Token>((tokens, before) =>
      model.detokenize(tokens, false, before),
    );
    const made: Token[] = [];
    let reason: FinishReason | null = null;
    const lastBatch = await readPrompt(sequence, plan.prompt, signal);
    const steps: AsyncIterable<Step> = sequence.evaluateWithMetadata(
      signal.aborted ? [] : lastBatch,
      { probabilities: plan.sampling.alternatives !== null },
      this.#evaluateOptions(plan, index, made),
    );
    let isEnded = false;
    for await (const { token, probabilities } of steps) {
      isEnded = plan.stopTokens.has(token);
      if (isEnded) break;
      made.push(token);
      const logprob = this.#logprob(plan, token, probabilities);
      const part = assembler.add(decoder.push(token), logprob);
      if (part !== null) yield part;
      if (assembler.isStopped) reason = "stop";
      else if (made.length >= plan.tokensMax) reason = "length";
      if (reason !== null || signal.aborted) break;
    }
    // Without a reason and not aborted, the loop ended by a token of the model's own that ends an answer.
    if (reason === null && (isEnded || !signal.aborted)) reason = "stop";
    const last = assembler.finish(decoder.finish());
    if (last !== null) yield last;
    return { reason, tokens: made.length, isPromptRead: !signal.aborted || made.length > 0 };
  }

  #evaluateOptions(plan: Plan, index: number, made: readonly Token[]): SequenceEvaluateOptions {
    const { sampling, grammar } = plan;
    const { library, model } = this.#loaded;
    const options: SequenceEvaluateOptions = {
      temperature: sampling.temperature,
      topP: sampling.topP,
      // Null leaves the sampler out; the library's own default would keep 40, and 0 sorts the whole vocabulary.
      topK: sampling.topK > 0 ? sampling.topK : (null as unknown as number),
      minP: sampling.minP,
      seed: choiceSeed(plan.seed, index),
    };
    if (grammar !== null) {
      options.grammarEvaluationState = new library.LlamaGrammarEvaluationState({ model, grammar });
    }
    const { repeatPenalty: penalty, frequencyPenalty, presencePenalty } = sampling;
    if (penalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0) {
      const maxPunishTokens = Math.min(plan.tokensMax, penaltyTokensMax);
      const punishTokens = (): Token[] => made.slice(-maxPunishTokens);
      const penalties = { penalty, frequencyPenalty, presencePenalty };
      options.repeatPenalty = { punishTokens, maxPunishTokens, ...penalties };
    }
    if (sampling.biasByTokenId.size > 0) options.tokenBias = this.#bias(sampling);
    return options;
  }

  #bias(sampling: Sampling): InstanceType<Library["TokenBias"]> {
    const bias = this.#loaded.library.TokenBias.for(this.#loaded.model);
    for (const [id, logit] of sampling.biasByTokenId) {
      // OpenAI: values like -100 ban a token.
      bias.set(id as Token, logit <= -100 ? "never" : { logit });
    }
    return bias;
  }

  #logprob(
    plan: Plan,
    token: Token,
    probabilities: ReadonlyMap<Token, number> | undefined,
  ): TokenLogprob | null {
    const { alternatives, temperature } = plan.sampling;
    if (alternatives === null || probabilities === undefined) return null;
    const { model } = this.#loaded;
    const { tokens, kind } = this.#vocabulary;
    const names: TokenNames<Token> = {
      text: (one) => model.detokenize([one], true),
      bytes: (one) => tokenBytes(tokens[one] ?? "", kind),
    };
    return tokenLogprob(token, probabilities, { temperature, alternatives, names });
  }

  async #clear(slot: Slot): Promise<void> {
    const { context } = this.#loaded;
    try {
      await slot.sequence.clearHistory();
    } catch {
      // The sequence broke with the generation that ran on it: a new one takes its place.
      await slot.sequence.dispose();
      if (!context.disposed) slot.sequence = context.getSequence();
    }
  }
}

/** Evaluates all batches of the prompt but the last, which is returned: the first token comes of it. */
async function readPrompt(
  sequence: LlamaContextSequence,
  prompt: readonly Token[],
  signal: AbortSignal,
): Promise<Token[]> {
  let at = 0;
  for (; prompt.length - at > batchTokens && !signal.aborted; at += batchTokens) {
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(at, at + batchTokens));
  }
  return prompt.slice(at);
}

/** Prompts begin with the model's own first token where it was trained so and the template did not write it. */
function withBeginning(model: LlamaModel, tokens: Token[]): readonly Token[] {
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

function abilitiesOf(hasChat: boolean): Ability[] {
  const always: Ability[] = [
    "completions",
    "seed",
    "penalties",
    "logit_bias",
    "logprobs",
    "choices",
    "param:top_k",
    "param:min_p",
    "param:repeat_penalty",
  ];
  return hasChat ? ["chat", "json_object", "json_schema", ...always] : always;
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
