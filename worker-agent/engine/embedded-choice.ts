import type { FinishReason } from "../../shared/openai/output.ts";
import type { AnswerSources } from "./embedded-answer.ts";
import { EmbeddedAnswer } from "./embedded-answer.ts";
import type {
  GrammarState,
  LoadedSequence,
  SequenceStart,
  Step,
  StepSettings,
} from "./embedded-model.ts";
import type { Plan } from "./embedded-plan.ts";
import { choiceSeed, hasPenalty } from "./embedded-sampling.ts";
import { EngineError } from "./engine.ts";
import type { PartEvent } from "./part-assembler.ts";
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

/** Runs one choice of a task on one sequence. */
export async function* runChoice<Compiled, Grammar extends GrammarState>(
  plan: Plan<Compiled>,
  index: number,
  sources: ChoiceSources<Compiled, Grammar>,
  signal: AbortSignal,
): AsyncGenerator<PartEvent, ChoiceEnd, void> {
  const answer = new EmbeddedAnswer(plan, sources, index);
  const { prompt, isRepeatable } = plan;
  const start: SequenceStart = { prompt, prefix: plan.prefix?.tokens ?? [], isRepeatable };
  if (answer.reason !== null) {
    return { reason: answer.reason, tokens: 0, isPromptRead: true, cachedTokens: 0 };
  }
  const sequence = await sources.pool.take(signal, (free) => bestSequence(free, start));
  if (sequence === null) return { reason: null, tokens: 0, isPromptRead: false, cachedTokens: 0 };
  let steps: AsyncIterator<Step, unknown, void> | null = null;
  try {
    const cachedTokens = await sequence.prepare(start, signal);
    if (signal.aborted) return { reason: null, tokens: 0, isPromptRead: false, cachedTokens: 0 };
    steps = sequence.steps(start, settingsOf(plan, answer, index));
    let isEnded = false;
    while (answer.reason === null && !signal.aborted) {
      const step = await steps.next();
      isEnded = step.done === true;
      if (step.done === true) break;
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
    // Nobody knows what a sequence holds that broke in the middle: a new one takes its place.
    steps = null;
    await sequence.replace();
    sources.onOutcome(failure);
    throw failure;
  } finally {
    await steps?.return?.();
    sources.pool.give(sequence);
  }
}

function settingsOf<Compiled, Grammar extends GrammarState>(
  plan: Plan<Compiled>,
  answer: EmbeddedAnswer<Compiled, Grammar>,
  index: number,
): StepSettings<Grammar> {
  const { sampling, tools, tokensMax } = plan;
  return {
    sampling,
    seed: choiceSeed(plan.seed, index),
    mayUseGrammar: plan.grammar !== null || tools !== null,
    grammar: () => answer.grammar,
    tokensMax,
    made: answer.made,
    // What a draft model proposes in time depends on the clock, and sampling on what it proposes;
    // the greedy choice alone does not. Penalties and a call's grammar change from token to token,
    // while proposals are judged several at once.
    isDraftable:
      (sampling.temperature === 0 || sampling.seed === null) &&
      !hasPenalty(sampling) &&
      (tools === null || tools.isInGrammar),
  };
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
