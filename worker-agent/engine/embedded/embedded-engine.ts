import type { Ability } from "../../../shared/openai/demands.ts";
import type { Finish } from "../../../shared/openai/output.ts";
import { cannot } from "../cannot.ts";
import type { ChoiceEnd, ChoiceSources } from "./embedded-choice.ts";
import { runChoice } from "./embedded-choice.ts";
import type {
  EngineBackend,
  GrammarState,
  LoadedModel,
  LoadedSequence,
  PooledModel,
} from "./embedded-model.ts";
import { planTask } from "./embedded-plan.ts";
import { performPooled } from "./embedded-pooled.ts";
import type {
  Engine,
  EngineEvent,
  EngineHealth,
  EngineModel,
  EngineStats,
  GenerateTask,
  ResultAnswer,
  ResultTask,
} from "../engine.ts";
import { EngineError } from "../engine.ts";
import { mergeChoices } from "../merge-choices.ts";
import type { PartEvent } from "../part-assembler.ts";
import { SlotPool } from "./slot-pool.ts";

/*
 * The embedded engine: llama.cpp inside this process.
 *
 * E1. A choice runs on one sequence of one shared context, so that running choices share each
 *     decoding step.
 * E2. A sequence keeps what it has evaluated. A later prompt reuses of it exactly the tokens it
 *     begins with, one by one the same, and the rest is erased before anything is generated, so
 *     that nothing of one conversation reaches another's answer. A repeatable answer (temperature
 *     0, or a seed) reuses only whole batches that it would have evaluated itself, in the same
 *     shape: its text does not depend on what was cached. It may depend on what runs beside it,
 *     because llama.cpp's last digits depend on the batch a token shares.
 * E3. The context is never shifted: a choice ends with `length` before it would overwrite its own
 *     beginning.
 * E4. An aborted choice has no finish; what it made is still counted.
 * E5. A sequence that failed is given back empty, and always is; the others go on.
 */

/** Compiled grammars kept: agents send the same few schemas again and again. */
const grammarsMax = 16;
/** One failure may be a prompt's own; as many in a row are the machine's. */
const failuresMax = 2;

export class EmbeddedEngine<Compiled, Grammar extends GrammarState> implements Engine {
  readonly kind = "llama.cpp";
  readonly model: EngineModel;
  /** What computes. */
  readonly backend: EngineBackend;
  readonly #loaded: LoadedModel<Compiled, Grammar>;
  readonly #pool: SlotPool<LoadedSequence<Grammar>>;
  readonly #sources: ChoiceSources<Compiled, Grammar>;
  readonly #grammarByText = new Map<string, Promise<Compiled>>();
  #failures = 0;
  #failure: EngineError | null = null;
  #pooledRunning = 0;
  #isClosed = false;

  constructor(loaded: LoadedModel<Compiled, Grammar>, model: Omit<EngineModel, "abilities">) {
    this.#loaded = loaded;
    this.backend = loaded.backend;
    // A model of vectors evaluates one input after the other.
    const slots = loaded.pooled === null ? model.slots : 1;
    this.model = { ...model, slots, abilities: abilitiesOf(loaded) };
    this.#pool = new SlotPool(loaded.sequences);
    this.#sources = {
      loaded,
      pool: this.#pool,
      compile: (text) => this.#compile(text),
      onOutcome: (failure) => this.#onOutcome(failure),
    };
  }

  async *generate(task: GenerateTask, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    if (this.#loaded.pooled !== null) throw cannot("generate text");
    const { compile } = this.#sources;
    const plan = await planTask(task, { loaded: this.#loaded, model: this.model, compile });
    const { choices } = plan.sampling;
    const ends =
      choices === 1
        ? [yield* runChoice(plan, 0, this.#sources, signal)]
        : yield* this.#several(choices, signal, (index, either) =>
            runChoice(plan, index, this.#sources, either),
          );
    const finishes: Finish[] = [];
    let completion = 0;
    for (const [index, { reason, tokens }] of ends.entries()) {
      completion += tokens;
      if (reason !== null) finishes.push({ index, reason });
    }
    const read = ends.filter((end) => end.isPromptRead);
    const prompt = read.length === 0 ? 0 : plan.prompt.length;
    // The prompt is billed once, and cached is what the choice that knew most of it was spared.
    const cached = Math.max(0, ...read.map((end) => end.cachedTokens));
    yield { kind: "end", finishes, usage: { prompt, completion, cached } };
  }

  /** Several choices at once: when one fails, or the consumer leaves, the others end too. */
  #several(
    choices: number,
    signal: AbortSignal,
    run: (index: number, either: AbortSignal) => AsyncGenerator<PartEvent, ChoiceEnd, void>,
  ): AsyncGenerator<PartEvent, ChoiceEnd[], void> {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const sources = Array.from({ length: choices }, (_, index) => run(index, either));
    return mergeChoices(sources, () => stop.abort());
  }

  async perform(task: ResultTask, signal: AbortSignal): Promise<ResultAnswer> {
    const { pooled } = this.#loaded;
    if (pooled === null) throw cannot(`serve a task of the kind ${task.kind}`);
    this.#pooledRunning += 1;
    try {
      const answer = await performPooled(task, pooled, signal);
      this.#onOutcome(null);
      return answer;
    } catch (error) {
      if (signal.aborted || error instanceof EngineError) throw error;
      const failure = new EngineError("engine_failed", "The engine failed", { cause: error });
      this.#onOutcome(failure);
      throw failure;
    } finally {
      this.#pooledRunning -= 1;
    }
  }

  tokenize(text: string): Promise<readonly number[]> {
    return Promise.resolve(this.#loaded.tokensOf(text));
  }

  health(): Promise<EngineHealth> {
    if (this.#isClosed) return Promise.resolve({ kind: "failing", reason: "The model is closed" });
    if (this.#failures < failuresMax || this.#failure === null) {
      return Promise.resolve({ kind: "ready" });
    }
    const { cause, message } = this.#failure;
    const said = cause instanceof Error ? cause.message : message;
    const reason = `The last ${this.#failures} tasks failed in llama.cpp: ${said}`;
    return Promise.resolve({ kind: "failing", reason });
  }

  stats(): EngineStats {
    const isPooled = this.#loaded.pooled !== null;
    const busy = isPooled ? this.#pooledRunning : this.model.slots - this.#pool.freeCount;
    const running = Math.min(busy, this.model.slots);
    const waiting = isPooled ? busy - running : this.#pool.waitingCount;
    return { running, waiting, memoryBytes: this.#loaded.memoryBytes() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#loaded[Symbol.asyncDispose]();
  }

  #onOutcome(failure: EngineError | null): void {
    // A request that was refused says nothing about the machine.
    if (failure?.code === "invalid_request") return;
    this.#failures = failure === null ? 0 : this.#failures + 1;
    this.#failure = failure;
  }

  #compile(text: string): Promise<Compiled> {
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
}

function abilitiesOf({
  pooled,
  isChatModel,
}: {
  readonly pooled: PooledModel | null;
  readonly isChatModel: boolean;
}): Ability[] {
  if (pooled !== null) return pooled.kind === "embedding" ? ["embeddings"] : ["rerank"];
  const always: Ability[] = [
    "completions",
    "seed",
    "penalties",
    "logit_bias",
    "logprobs",
    "choices",
    "forced_prefix",
    "param:top_k",
    "param:min_p",
    "param:repeat_penalty",
  ];
  return isChatModel ? ["chat", "json_object", "json_schema", "tools", ...always] : always;
}
