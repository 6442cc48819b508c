import type { Ability } from "../../shared/openai/demands.ts";
import type { Finish, FinishReason, OutputPart, TokenLogprob } from "../../shared/openai/output.ts";
import type { TokenNames } from "./embedded-logprobs.ts";
import { tokenLogprob } from "./embedded-logprobs.ts";
import type { LoadedModel, LoadedSequence, TokenId } from "./embedded-model.ts";
import { historyOf } from "./embedded-prompt.ts";
import type { Sampling } from "./embedded-sampling.ts";
import { choiceSeed, readSampling } from "./embedded-sampling.ts";
import { cannot } from "./cannot.ts";
import type {
  Engine,
  EngineEvent,
  EngineHealth,
  EngineModel,
  EngineStats,
  GenerateTask,
  ResultAnswer,
  ResultTask,
} from "./engine.ts";
import { EngineError } from "./engine.ts";
import { jsonObjectGrammar, jsonSchemaGrammar } from "./json-grammar.ts";
import { mergeChoices } from "./merge-choices.ts";
import { PartAssembler } from "./part-assembler.ts";
import { SlotPool } from "./slot-pool.ts";
import { tokenBytes } from "./token-bytes.ts";
import { TokenDecoder } from "./token-decoder.ts";
import { tokenLimit } from "./token-limit.ts";

/*
 * The embedded engine: llama.cpp inside this process.
 *
 * E1. A choice runs on one sequence of one shared context, so that running choices share each
 *     decoding step.
 * E2. A sequence is given back cleared, whatever ended the choice on it.
 * E3. The context is never shifted: a choice ends with `length` before it would overwrite its own
 *     beginning.
 * E4. An aborted choice has no finish; what it made is still counted.
 */

/** Compiled grammars kept: agents send the same few schemas again and again. */
const grammarsMax = 16;

/** A task made ready: everything its choices have in common. */
interface Plan<Grammar> {
  readonly prompt: readonly TokenId[];
  readonly sampling: Sampling;
  readonly tokensMax: number;
  readonly grammar: Grammar | null;
  readonly endTokens: ReadonlySet<TokenId>;
  readonly seed: number;
}

interface ChoiceEnd {
  /** Null where it was aborted. */
  readonly reason: FinishReason | null;
  readonly tokens: number;
  readonly isPromptRead: boolean;
}

export class EmbeddedEngine<Grammar> implements Engine {
  readonly kind = "llama.cpp";
  readonly model: EngineModel;
  readonly #loaded: LoadedModel<Grammar>;
  readonly #pool: SlotPool<LoadedSequence<Grammar>>;
  readonly #grammarByText = new Map<string, Promise<Grammar>>();

  constructor(loaded: LoadedModel<Grammar>, model: Omit<EngineModel, "abilities">) {
    this.#loaded = loaded;
    this.model = { ...model, abilities: abilitiesOf(loaded.isChatModel) };
    this.#pool = new SlotPool(loaded.sequences);
  }

  async *generate(task: GenerateTask, signal: AbortSignal): AsyncGenerator<EngineEvent> {
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

  perform(task: ResultTask): Promise<ResultAnswer> {
    return Promise.reject(cannot(`serve a task of the kind ${task.kind}`));
  }

  tokenize(text: string): Promise<readonly number[]> {
    return Promise.resolve(this.#loaded.textPrompt(text));
  }

  health(): Promise<EngineHealth> {
    return Promise.resolve({ kind: "ready" });
  }

  stats(): EngineStats {
    const running = this.model.slots - this.#pool.freeCount;
    return { running, waiting: this.#pool.waitingCount, memoryBytes: null };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loaded[Symbol.asyncDispose]();
  }

  async #plan(task: GenerateTask): Promise<Plan<Grammar>> {
    const sampling = readSampling(task);
    const { prompt, endTokens } = this.#prompt(task);
    const tokensMax = tokenLimit(task, prompt.length, this.model.contextTokens);
    const vocabularySize = this.#loaded.vocabulary.tokens.length;
    for (const id of sampling.biasByTokenId.keys()) {
      if (id < vocabularySize) continue;
      const message = `Cannot bias token ${id}: the model has ${vocabularySize} tokens`;
      throw new EngineError("invalid_request", message);
    }
    const grammar = await this.#grammar(task);
    const seed = sampling.seed ?? Math.floor(Math.random() * 2 ** 32);
    return { prompt, sampling, tokensMax, grammar, endTokens, seed };
  }

  #prompt(task: GenerateTask): ReturnType<LoadedModel<Grammar>["chatPrompt"]> {
    if (task.kind === "completion") {
      const { prompt } = task.request;
      const text = typeof prompt === "string" ? prompt : (prompt[0] ?? "");
      return { prompt: this.#loaded.textPrompt(text), endTokens: new Set() };
    }
    if (!this.#loaded.isChatModel) {
      throw new EngineError("invalid_request", "Cannot chat: this model has no chat template");
    }
    return this.#loaded.chatPrompt(historyOf(task.request.messages));
  }

  async #grammar(task: GenerateTask): Promise<Grammar | null> {
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
    const compiled = this.#loaded.compileGrammar(text).catch((cause: unknown) => {
      this.#grammarByText.delete(text);
      const message = "Cannot keep the JSON schema: llama.cpp does not accept its grammar";
      throw new EngineError("invalid_request", message, { cause });
    });
    this.#grammarByText.set(text, compiled);
    return compiled;
  }

  async *#choice(
    plan: Plan<Grammar>,
    index: number,
    signal: AbortSignal,
  ): AsyncGenerator<OutputPart, ChoiceEnd, void> {
    const sequence = await this.#pool.take(signal);
    if (sequence === null) return { reason: null, tokens: 0, isPromptRead: false };
    try {
      return yield* this.#generateOn(sequence, plan, { index, signal });
    } catch (cause) {
      if (cause instanceof EngineError) throw cause;
      throw new EngineError("engine_failed", "The engine failed while generating", { cause });
    } finally {
      await sequence.clear();
      this.#pool.give(sequence);
    }
  }

  async *#generateOn(
    sequence: LoadedSequence<Grammar>,
    plan: Plan<Grammar>,
    choice: { readonly index: number; readonly signal: AbortSignal },
  ): AsyncGenerator<OutputPart, ChoiceEnd, void> {
    const { signal, index } = choice;
    const { sampling, tokensMax, grammar } = plan;
    const assembler = new PartAssembler(index, sampling.stops);
    const decoder = new TokenDecoder<TokenId>((tokens, before) =>
      this.#loaded.text(tokens, before),
    );
    const made: TokenId[] = [];
    const seed = choiceSeed(plan.seed, index);
    const settings = { sampling, seed, grammar, tokensMax, made };
    let reason: FinishReason | null = null;
    let isEnded = false;
    for await (const { token, probabilities } of sequence.steps(plan.prompt, settings, signal)) {
      isEnded = plan.endTokens.has(token);
      if (isEnded) break;
      made.push(token);
      const logprob = this.#logprob(plan, token, probabilities);
      const part = assembler.add(decoder.push(token), logprob);
      if (part !== null) yield part;
      if (assembler.isStopped) reason = "stop";
      else if (made.length >= tokensMax) reason = "length";
      if (reason !== null || signal.aborted) break;
    }
    // Without a reason and not aborted, the loop ended by a token of the model's own that ends an
    // answer.
    if (reason === null && (isEnded || !signal.aborted)) reason = "stop";
    const last = assembler.finish(decoder.finish());
    if (last !== null) yield last;
    return { reason, tokens: made.length, isPromptRead: !signal.aborted || made.length > 0 };
  }

  #logprob(
    plan: Plan<Grammar>,
    token: TokenId,
    probabilities: ReadonlyMap<TokenId, number> | undefined,
  ): TokenLogprob | null {
    const { alternatives, temperature } = plan.sampling;
    if (alternatives === null || probabilities === undefined) return null;
    const { tokens, kind } = this.#loaded.vocabulary;
    const names: TokenNames<TokenId> = {
      text: (one) => this.#loaded.tokenText(one),
      bytes: (one) => tokenBytes(tokens[one] ?? "", kind),
    };
    return tokenLogprob(token, probabilities, { temperature, alternatives, names });
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
