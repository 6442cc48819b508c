import { createHash } from "node:crypto";
import type { OutputPart } from "../../../shared/openai/output.ts";
import type { Ability } from "../../../shared/openai/demands.ts";
import { cannot } from "../cannot.ts";
import type { Engine, EngineEvent, GenerateTask, ResultAnswer, ResultTask } from "../engine.ts";
import { EngineError } from "../engine.ts";
import { SlotPool } from "../embedded/slot-pool.ts";
import type { SyntheticAnswer } from "./synthetic-answer.ts";
import {
  composeAnswer,
  countPromptTokens,
  promptOf,
  syntheticLogprob,
} from "./synthetic-answer.ts";
import { composeResult, resultAbilities, scriptTextOf } from "./synthetic-result.ts";
import type { SyntheticScript } from "./synthetic-script.ts";
import { readScript } from "./synthetic-script.ts";
import { tokenLimit } from "../token-limit.ts";

/*
 * An engine without a model, for tests and benchmarks of everything around one. It answers with
 * numbered words, the same for the same request; a seed changes them. The last user message may
 * carry a script that asks for more:
 *
 *   [synthetic tokens=50 rate=20 delay=500 burst=5 fail=engine_failed after=10]
 *   [synthetic text="hello" hang after=1]
 *   [synthetic tool="weather" args='{"city":"Rome"}']
 *
 *   tokens=N   the answer has N tokens (words)
 *   text="…"   answers this text, a token a word
 *   rate=N     N tokens a second, 0 at once
 *   delay=N    milliseconds before the first token
 *   burst=N    N tokens a part; without it one, but at rate 0 the first token, then all others
 *   fail=CODE  throws this EngineError
 *   hang       says nothing more until it is aborted
 *   after=N    the tokens before `fail` or `hang` take effect, 0 without it
 *   tool="…"   calls this tool
 *   args='…'   with these arguments
 *
 * A document (see synthetic-result.ts) heeds `delay`, `fail` and `hang` alone.
 *
 * A script that has an unknown word or a wrong value is text like any other, and gets the usual
 * answer.
 */

export interface SyntheticConfig {
  readonly name: string;
  /** 0 makes all tokens at once. */
  readonly tokensPerSecond: number;
  readonly answerTokens: number;
  readonly firstTokenDelayMs: number;
  readonly contextTokens: number;
  readonly slots: number;
  /** Whether it answers documents instead of text: see synthetic-result.ts. */
  readonly documents: boolean;
}

const syntheticDefaults: SyntheticConfig = {
  name: "synthetic",
  tokensPerSecond: 0,
  answerTokens: 32,
  firstTokenDelayMs: 0,
  contextTokens: 8192,
  slots: 64,
  documents: false,
};

/** Time as the synthetic engine sees it; `wait` returns early when aborted. */
export interface SyntheticClock {
  nowMs(): number;
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

const textAbilities: readonly Ability[] = [
  "chat",
  "completions",
  "seed",
  "penalties",
  "logit_bias",
  "logprobs",
  "choices",
  "json_object",
  "json_schema",
  "tools",
  "forced_prefix",
  "param:top_k",
  "param:min_p",
  "param:repeat_penalty",
];

export function createSyntheticEngine(
  config: Partial<SyntheticConfig> = {},
  clock: SyntheticClock = systemClock,
): Engine {
  const settled = { ...syntheticDefaults, ...config };
  const pool = new SlotPool(Array.from({ length: settled.slots }, (_, i) => i));
  let running = 0;
  return {
    kind: "synthetic",
    model: {
      digest: createHash("sha256").update(`synthetic:${settled.name}`).digest("hex"),
      identity: "content",
      weightBytes: null,
      contextTokens: settled.contextTokens,
      quantization: "none",
      parameterCount: 0,
      architecture: "synthetic",
      abilities: settled.documents ? resultAbilities : textAbilities,
      slots: settled.slots,
    },
    async *generate(task, signal) {
      if (settled.documents) throw cannot("write text");
      const slot = await pool.take(signal);
      if (slot === null) {
        yield { kind: "end", finishes: [], usage: { prompt: 0, completion: 0, cached: 0 } };
        return;
      }
      running += 1;
      try {
        yield* run(task, settled, clock, signal);
      } finally {
        running -= 1;
        pool.give(slot);
      }
    },
    async perform(task, signal) {
      if (!settled.documents) throw cannot(`serve a task of the kind ${task.kind}`);
      const slot = await pool.take(signal);
      // Only an abort ends the wait for a slot without one.
      if (slot === null) throw signal.reason;
      running += 1;
      try {
        return await performed(task, settled, clock, signal);
      } finally {
        running -= 1;
        pool.give(slot);
      }
    },
    tokenize: (text) => Promise.resolve(text.split(/(?=\s)/).map((_, index) => index)),
    health: () => Promise.resolve({ kind: "ready" }),
    stats: () => ({ running, waiting: pool.waitingCount, memoryBytes: 0 }),
    async [Symbol.asyncDispose]() {},
  };
}

async function* run(
  task: GenerateTask,
  config: SyntheticConfig,
  clock: SyntheticClock,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent> {
  const script = readScript(promptOf(task));
  const prompt = countPromptTokens(task);
  const tokensMax = tokenLimit(task, prompt, config.contextTokens);
  const answers = Array.from({ length: task.request.n ?? 1 }, (_, index) =>
    composeAnswer(task, script, { index, answerTokens: config.answerTokens, tokensMax }),
  );
  const given = givenBy(task, answers);
  const pace = paceOf(config, script, clock.nowMs());
  let made = 0;
  let longest = 0;
  for (const answer of answers) longest = Math.max(longest, answer.tokens.length);
  const breaksAt = "fail" in script || "hang" in script ? (script.after ?? 0) : Infinity;
  // What broke once is gone on from.
  const interruptAt = given.tokens > 0 && given.tokens >= breaksAt ? Infinity : breaksAt;
  let at = given.tokens;
  if (given.surplus !== "") {
    yield { kind: "part", part: { index: 0, tokens: 0, text: given.surplus }, tokenIds: [] };
  }
  while (!signal.aborted) {
    if (at > 0 && at >= longest && at < interruptAt) break;
    const dueMs = pace.dueMs(at - given.tokens) - clock.nowMs();
    if (dueMs > 0) await clock.wait(dueMs, signal);
    if (signal.aborted) break;
    if (at >= interruptAt) await interrupt(script, at, signal);
    if (at >= longest || signal.aborted) break;
    const end = Math.min(pace.partEnd(at), longest, interruptAt);
    for (const [index, answer] of answers.entries()) {
      const part = partOf(task, answer, { index, from: at, to: end });
      if (part === null) continue;
      made += part.tokens;
      yield { kind: "part", part, tokenIds: placesOf(at, end) };
    }
    at = end;
  }
  if (signal.aborted) {
    yield { kind: "end", finishes: [], usage: { prompt, completion: made, cached: 0 } };
    return;
  }
  for (const [index, answer] of answers.entries()) {
    made += answer.silentTokens;
    if (answer.silentTokens > 0) yield { kind: "part", part: lastPart(answer, index) };
  }
  const finishes = answers.map(({ finish }, index) => ({ index, reason: finish }));
  yield { kind: "end", finishes, usage: { prompt, completion: made, cached: 0 } };
}

/** A token's id is its place in the answer. */
function placesOf(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, place) => from + place);
}

/** How many tokens of the answer were given, and what they spell beyond the text of them. */
function givenBy(
  { prefix }: GenerateTask,
  answers: readonly SyntheticAnswer[],
): { readonly tokens: number; readonly surplus: string } {
  if (prefix === undefined) return { tokens: 0, surplus: "" };
  const [answer] = answers;
  if (answer === undefined || answers.length > 1) throw cannot("continue several choices");
  let spelled = "";
  let tokens = 0;
  const least = prefix.tokenIds?.length ?? 0;
  for (const token of answer.tokens) {
    if (tokens >= least && spelled.length >= prefix.text.length) break;
    spelled += token;
    tokens += 1;
  }
  if (!spelled.startsWith(prefix.text)) throw cannot("continue what is no beginning of its answer");
  return { tokens, surplus: spelled.slice(prefix.text.length) };
}

/** One document, after the delay its script asks for. */
async function performed(
  task: ResultTask,
  config: SyntheticConfig,
  clock: SyntheticClock,
  signal: AbortSignal,
): Promise<ResultAnswer> {
  const script = readScript(scriptTextOf(task));
  const delayMs = script.delay ?? config.firstTokenDelayMs;
  // An abort that came before is not heard of again by those who wait for one.
  signal.throwIfAborted();
  if (delayMs > 0) await clock.wait(delayMs, signal);
  signal.throwIfAborted();
  if ("fail" in script || "hang" in script) await interrupt(script, 0, signal);
  signal.throwIfAborted();
  return composeResult(task);
}

interface Pace {
  /** When the token at this place may leave, on the clock. */
  dueMs(at: number): number;
  /** Where the part that starts with this token ends. */
  partEnd(at: number): number;
}

function paceOf(config: SyntheticConfig, script: SyntheticScript, startMs: number): Pace {
  const rate = script.rate ?? config.tokensPerSecond;
  const delayMs = script.delay ?? config.firstTokenDelayMs;
  const burst = script.burst ?? (rate > 0 ? 1 : null);
  return {
    dueMs: (at) => startMs + delayMs + (rate > 0 ? (at * 1000) / rate : 0),
    partEnd: (at) => (burst === null ? (at === 0 ? 1 : Infinity) : at + burst),
  };
}

/** Fails or hangs as the script says; a hang ends only by abort. */
async function interrupt(script: SyntheticScript, at: number, signal: AbortSignal): Promise<void> {
  if (script.fail !== undefined) {
    throw new EngineError(script.fail, `The synthetic engine fails after ${at} tokens, as asked`);
  }
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function partOf(
  task: GenerateTask,
  answer: SyntheticAnswer,
  range: { readonly index: number; readonly from: number; readonly to: number },
): OutputPart | null {
  const { index, from, to } = range;
  const tokens = answer.tokens.slice(from, to);
  if (tokens.length === 0) return null;
  const part: OutputPart = { index, tokens: tokens.length, text: tokens.join("") };
  const alternatives = alternativesOf(task);
  if (alternatives === null) return part;
  return { ...part, logprobs: tokens.map((token) => syntheticLogprob(token, alternatives)) };
}

function lastPart(answer: SyntheticAnswer, index: number): OutputPart {
  const part = { index, tokens: answer.silentTokens };
  return answer.toolCall === null ? part : { ...part, tool_calls: [answer.toolCall] };
}

/** How many alternatives a token's log probability lists, or null where none were asked for. */
function alternativesOf(task: GenerateTask): number | null {
  if (task.kind === "completion") return task.request.logprobs ?? null;
  return task.request.logprobs === true ? (task.request.top_logprobs ?? 0) : null;
}

const systemClock: SyntheticClock = {
  nowMs: () => performance.now(),
  wait: (ms, signal) =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done, { once: true });
    }),
};
