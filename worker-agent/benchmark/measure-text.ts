import type { Engine } from "../engine/engine.ts";
import { EngineError } from "../engine/engine.ts";
import type { Benchmark } from "./benchmark.ts";
import type { LevelPace } from "./curve.ts";
import { measureCurve } from "./curve.ts";
import { generateTask } from "./probe-tasks.ts";
import type { Stopwatch } from "./stopwatch.ts";
import { median } from "./stopwatch.ts";

/** What is told while a measurement goes on. */
export type OnStep = (step: string) => void;

/** A few words, as in the question of somebody who waits for the first token. */
const shortWords = 12;
/** An answer of a usual length; a stream asks for the next one when it ends. */
const answerTokens = 64;
/** Prompts shorter than this do not fill a batch and would be measured slower than they are. */
const promptTokens = 512;
/** Room for the template around a prompt and for its answer's only token. */
const reservedTokens = 48;

const promptRuns = 3;
const promptMs = 1_000;

const pace: LevelPace = { leastMs: 250, mostMs: 3_000, units: 24 };
/** Three answers, or as many as a second holds of a slow model. */
const aloneRuns = 3;
const aloneMs = 1_500;

interface Run {
  readonly firstMs: number;
  /** From the first token to the last. */
  readonly decodeMs: number;
  readonly tokens: number;
  readonly promptTokens: number;
  /** Of these, evaluated and not remembered from another prompt's beginning. */
  readonly readTokens: number;
}

/** Measures an engine whose answers grow token by token. Null where the time ran out at once. */
export async function measureText(
  engine: Engine,
  kind: "chat" | "completion",
  watch: Stopwatch,
  onStep: OnStep,
): Promise<Omit<Benchmark, "tookMs"> | null> {
  let salt = 0;
  const run = (words: number, tokens: number) =>
    runOnce(engine, { kind, promptWords: words, answerTokens: tokens, salt: ++salt }, watch);
  onStep("warming up");
  const warm = await run(shortWords, 4);
  if (warm === null) return null;
  onStep("one answer alone");
  const alone = await measureAlone(() => run(shortWords, answerTokens), watch);
  if (alone === null) return null;
  onStep("reading a prompt");
  const prompt = await measurePrompt(run, warm, engine.model.contextTokens);
  const load = await measureCurve(
    async (done, signal) => {
      const task = generateTask(kind, { promptWords: shortWords, answerTokens, salt: ++salt });
      for await (const event of engine.generate(task, signal)) {
        if (event.kind === "part") done(event.part.tokens);
      }
    },
    engine.model.slots,
    pace,
    { watch, onLevel: (streams) => onStep(streams === 1 ? "1 stream" : `${streams} streams`) },
  );
  const context = await measureContext(run, prompt, engine.model.contextTokens, { watch, onStep });
  return {
    kind,
    unit: "tokens",
    firstMs: alone.firstMs,
    promptTokensPerS: prompt.perSecond,
    // What disturbs a measurement only ever slows it.
    perSecond: Math.max(alone.perSecond, load.curve[0]?.perSecond ?? 0),
    curve: load.curve.length > 0 ? load.curve : [{ streams: 1, perSecond: alone.perSecond }],
    loadFault: load.loadFault,
    ...context,
  };
}

/** One task, or null where it was cut off by the end of the time. */
async function runOnce(
  engine: Engine,
  shape: Parameters<typeof generateTask>[1] & { readonly kind: "chat" | "completion" },
  watch: Stopwatch,
): Promise<Run | null> {
  const startMs = watch.nowMs();
  let firstMs: number | null = null;
  let lastMs = startMs;
  for await (const event of engine.generate(generateTask(shape.kind, shape), watch.signal)) {
    const nowMs = watch.nowMs();
    if (event.kind === "part") {
      firstMs ??= nowMs;
      lastMs = nowMs;
      continue;
    }
    if (watch.signal.aborted) return null;
    // An answer may end before its first visible token.
    const seenMs = firstMs ?? nowMs;
    const { prompt, cached, completion } = event.usage;
    return {
      firstMs: seenMs - startMs,
      decodeMs: Math.max(0, lastMs - seenMs),
      tokens: completion,
      promptTokens: prompt,
      readTokens: Math.max(0, prompt - cached),
    };
  }
  return null;
}

async function measureAlone(
  run: () => Promise<Run | null>,
  watch: Stopwatch,
): Promise<{ readonly firstMs: number; readonly perSecond: number } | null> {
  const startMs = watch.nowMs();
  const runs: Run[] = [];
  while (runs.length < aloneRuns || watch.nowMs() - startMs < pace.leastMs) {
    const next = await run();
    if (next === null) break;
    runs.push(next);
    if (watch.nowMs() - startMs > aloneMs) break;
  }
  if (runs.length === 0) return null;
  let tokens = 0;
  let decodeMs = 0;
  let wholeMs = 0;
  for (const one of runs) {
    // The first token's time is the prompt's.
    tokens += Math.max(0, one.tokens - 1);
    decodeMs += one.decodeMs;
    wholeMs += one.firstMs + one.decodeMs;
  }
  // A server that sends its answer in one piece shows only the time of the whole.
  const ms = decodeMs > 0 ? decodeMs : wholeMs;
  const perSecond = ms > 0 ? (1_000 * tokens) / ms : 0;
  return { firstMs: median(runs.map(({ firstMs }) => firstMs)), perSecond };
}

/** A prompt that was read, and how many tokens its words became. */
interface ReadPrompt {
  readonly perSecond: number;
  readonly tokens: number;
  readonly ms: number;
  readonly tokensPerWord: number;
}

type RunWords = (words: number, tokens: number) => Promise<Run | null>;

async function measurePrompt(run: RunWords, warm: Run, contextTokens: number): Promise<ReadPrompt> {
  // The template's own tokens make words look longer here, which keeps the prompt within bounds.
  const guess = Math.max(1, warm.promptTokens / shortWords);
  const wanted = Math.min(promptTokens, Math.floor(contextTokens / 2));
  const words = Math.max(shortWords, Math.floor(wanted / guess));
  // The fastest of three: what disturbs a measurement only ever slows it.
  let found: Run | null = null;
  for (let at = 0, spentMs = 0; at < promptRuns && spentMs < promptMs; at++) {
    const next = await run(words, 1);
    if (next === null) break;
    spentMs += next.firstMs;
    if (found === null || next.firstMs < found.firstMs) found = next;
  }
  if (found === null || found.promptTokens === 0 || found.firstMs === 0) {
    const perSecond = warm.firstMs > 0 ? (1_000 * warm.readTokens) / warm.firstMs : 0;
    return { perSecond, tokens: warm.promptTokens, ms: warm.firstMs, tokensPerWord: guess };
  }
  const more = (found.promptTokens - warm.promptTokens) / Math.max(1, words - shortWords);
  return {
    perSecond: (1_000 * found.readTokens) / found.firstMs,
    tokens: found.promptTokens,
    ms: found.firstMs,
    tokensPerWord: more > 0 ? more : guess,
  };
}

/**
 * Reads longer and longer prompts, each twice the one before, up to the whole context or as far as
 * the time goes. What is too long for memory shows here and not in a consumer's task.
 */
async function measureContext(
  run: RunWords,
  start: ReadPrompt,
  contextTokens: number,
  { watch, onStep }: { readonly watch: Stopwatch; readonly onStep: OnStep },
): Promise<Pick<Benchmark, "contextTokens" | "contextFault">> {
  let most = contextTokens - reservedTokens;
  let last = { tokens: start.tokens, ms: start.ms };
  while (last.tokens < most * 0.95) {
    const next = Math.min(2 * last.tokens, most);
    // Attention makes twice the tokens take more than twice the time.
    const expectedMs = 1.5 * last.ms * (next / Math.max(1, last.tokens));
    if (expectedMs > watch.leftMs()) break;
    onStep(`a prompt of ${next} tokens`);
    try {
      const found = await run(Math.floor(next / start.tokensPerWord), 1);
      if (found === null || found.promptTokens <= last.tokens) break;
      last = { tokens: found.promptTokens, ms: found.firstMs };
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (error.code !== "context_length_exceeded") {
        return { contextTokens: last.tokens, contextFault: error.message.slice(0, 512) };
      }
      // Words that became more tokens than expected are a wrong guess, not a fault.
      most = Math.floor(0.9 * next);
    }
  }
  return { contextTokens: last.tokens, contextFault: null };
}
