import type { FinishReason } from "../../../shared/openai/output.ts";
import type { AnswerSources } from "./embedded-answer.ts";
import { EmbeddedAnswer } from "./embedded-answer.ts";
import type {
  GrammarState,
  LoadedSequence,
  SequenceStart,
  StepSettings,
  TokenId,
} from "./embedded-model.ts";
import type { Plan } from "./embedded-plan.ts";
import { StepsAhead } from "./embedded-steps.ts";
import { choiceSeed, hasPenalty } from "./embedded-sampling.ts";
import { EngineError } from "../engine.ts";
import type { PartEvent } from "../part-assembler.ts";
import type { SlotPool } from "./slot-pool.ts";

export interface ChoiceEnd {
  /** Null where it was aborted. */
  readonly reason: FinishReason | null;
  readonly tokens: number;
  readonly isPromptRead: boolean;
  /** Tokens of the prompt that the sequence held already. */
  readonly cachedTokens: number;
}

export interface ChoiceSources<Compiled, Grammar extends GrammarState> extends AnswerSources<
  Compiled,
  Grammar
> {
  readonly pool: SlotPool<LoadedSequence<Grammar>>;
  /** Told of every generation, so that failures which repeat are noticed. */
  onOutcome(failure: EngineError | null): void;
}

/** Reuse below this share of the prompt is not worth what another conversation would lose. */
const worthwhileShare = 0.25;

/**
 * The free sequence that holds most of the prompt; the least recently used one where none holds
 * much, so that conversations do not push each other out for a common first line.
 */
function bestSequence<Grammar extends GrammarState>(
  free: readonly LoadedSequence<Grammar>[],
  start: SequenceStart,
): LoadedSequence<Grammar> | undefined {
  let best: LoadedSequence<Grammar> | undefined;
  let most = Math.max(1, start.prompt.length * worthwhileShare);
  for (const sequence of free) {
    const reusable = sequence.reusable(start);
    if (reusable < most || (best !== undefined && reusable === most)) continue;
    best = sequence;
    most = reusable;
  }
  return best ?? free.find((sequence) => sequence.heldTokens === 0);
}

/** A beginning longer than this is evaluated in batches: one by one would take too long. */
const replayMax = 1024;

/** Runs one choice of a task on one sequence. */
export async function* runChoice<Compiled, Grammar extends GrammarState>(
  plan: Plan<Compiled>,
  index: number,
  sources: ChoiceSources<Compiled, Grammar>,
  signal: AbortSignal,
): AsyncGenerator<PartEvent, ChoiceEnd, void> {
  const answer = new EmbeddedAnswer(plan, sources, index);
  const { prompt, isRepeatable } = plan;
  const replay = replayOf(plan);
  const prefix = replay.length > 0 ? [] : (plan.prefix?.tokens ?? []);
  const start: SequenceStart = { prompt, prefix, isRepeatable };
  if (answer.reason !== null) {
    return { reason: answer.reason, tokens: 0, isPromptRead: true, cachedTokens: 0 };
  }
  const sequence = await sources.pool.take(signal, (free) => bestSequence(free, start));
  if (sequence === null) return { reason: null, tokens: 0, isPromptRead: false, cachedTokens: 0 };
  let steps: StepsAhead | null = null;
  try {
    const cachedTokens = await sequence.prepare(start, signal);
    if (signal.aborted) return { reason: null, tokens: 0, isPromptRead: false, cachedTokens: 0 };
    const settings = new ChoiceSettings(plan, answer, { index, toReplay: replay.length });
    steps = new StepsAhead(sequence.steps(start, settings));
    let given: TokenId | undefined;
    for (const token of replay) {
      if (signal.aborted) break;
      await steps.next(given);
      given = token;
      settings.onReplayed();
    }
    let isEnded = false;
    while (answer.reason === null && !signal.aborted) {
      const step = await steps.next(given);
      given = undefined;
      isEnded = step.done === true;
      if (step.done === true) break;
      if (answer.goesOnAfter(step.value.token)) steps.ask();
      const part = answer.push(step.value);
      if (part !== null) yield part;
      if (!answer.isAtCall) continue;
      const calls = await answer.enterCall();
      if (calls !== null) yield calls;
    }
    const last = answer.finish(isEnded);
    if (last !== null) yield last;
    const tokens = answer.newTokens;
    sources.onOutcome(null);
    return { reason: answer.reason, tokens, isPromptRead: true, cachedTokens };
  } catch (cause) {
    const failure = failureOf(cause);
    sources.onOutcome(failure);
    // Nobody knows what a sequence holds that broke in the middle: a new one takes its place.
    await steps?.close();
    steps = null;
    await sequence.replace();
    throw failure;
  } finally {
    await giveBack(sequence, steps, sources.pool);
  }
}

/** A slot that is not given back is lost to all later tasks, whatever else fails. */
async function giveBack<Grammar extends GrammarState>(
  sequence: LoadedSequence<Grammar>,
  steps: StepsAhead | null,
  pool: SlotPool<LoadedSequence<Grammar>>,
): Promise<void> {
  try {
    if ((await steps?.close()) === false) await sequence.replace();
  } finally {
    pool.give(sequence);
  }
}

/**
 * The tokens of a given beginning that are generated again instead of being evaluated in batches:
 * each is sampled and the given one put in its place, so that the state after them, the generator
 * of random numbers included, is what it was when they were made.
 */
function replayOf<Compiled>({ prefix, isRepeatable }: Plan<Compiled>): readonly TokenId[] {
  if (prefix === null || !prefix.isExact || !isRepeatable) return [];
  return prefix.tokens.length <= replayMax ? prefix.tokens : [];
}

class ChoiceSettings<Compiled, Grammar extends GrammarState> implements StepSettings<Grammar> {
  readonly sampling: Plan<Compiled>["sampling"];
  readonly seed: number;
  readonly mayUseGrammar: boolean;
  readonly tokensMax: number;
  readonly isDraftable: boolean;
  readonly stepsAtEnd: boolean;
  readonly #answer: EmbeddedAnswer<Compiled, Grammar>;
  #toReplay: number;

  constructor(
    { sampling, seed, grammar, tools, tokensMax }: Plan<Compiled>,
    answer: EmbeddedAnswer<Compiled, Grammar>,
    { index, toReplay }: { readonly index: number; readonly toReplay: number },
  ) {
    this.sampling = sampling;
    this.seed = choiceSeed(seed, index);
    this.mayUseGrammar = grammar !== null || tools !== null;
    this.tokensMax = tokensMax;
    this.#answer = answer;
    this.#toReplay = toReplay;
    this.stepsAtEnd = toReplay > 0;
    // What a draft model proposes changes how often is sampled, and sampling by a seed with it; the
    // greedy choice alone does not change. Penalties and a call's grammar change from token to
    // token, while proposals are judged several at once.
    this.isDraftable =
      (sampling.temperature === 0 || sampling.seed === null) &&
      !hasPenalty(sampling) &&
      (tools === null || tools.isInGrammar) &&
      toReplay === 0;
  }

  /** The tokens of this answer so far, those alone that are replayed yet. */
  get made(): readonly TokenId[] {
    const { made } = this.#answer;
    return this.#toReplay === 0 ? made : made.slice(0, -this.#toReplay);
  }

  /** The answer's grammar has taken all of its beginning: it is in force behind that. */
  grammar(): Grammar | null {
    return this.#toReplay === 0 ? this.#answer.grammar : null;
  }

  /** One token more of the beginning is in its place. */
  onReplayed(): void {
    this.#toReplay -= 1;
  }
}

function failureOf(cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause;
  const message = cause instanceof Error ? cause.message : "";
  if (/memory|alloc|KV slot/i.test(message)) {
    const said = "There is not enough memory to evaluate this prompt; send a shorter one";
    return new EngineError("out_of_memory", said, { cause });
  }
  return new EngineError("engine_failed", "The engine failed while generating", { cause });
}
