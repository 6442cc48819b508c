import type { Finish, FinishReason, OutputPart, Usage } from "../../shared/openai/output.ts";
import type { EngineEvent } from "../engine/engine.ts";
import type { Chunk, ChunkChoice, ChunkUsage } from "./chunks.ts";
import { ChunkError } from "./chunks.ts";

/*
 * Chunks of a server's stream, made into parts.
 *
 * A1. The tokens of all parts add up to the completion's of the end.
 * A2. Text, reasoning and calls leave exactly as they came; nothing is held back.
 * A3. A choice ends once, and nothing of it comes after its end.
 * A4. What the server tells of its tokens is taken over what can be guessed: counts by choice in
 *     each chunk, else the log probabilities, else a token for each chunk that has text. What the
 *     last usage counts more comes with a last part; what it counts less was delivered already.
 */

/** Names that servers give to the same endings. */
const finishByName = new Map<string, FinishReason>([
  ["stop", "stop"],
  ["eos", "stop"],
  ["eos_token", "stop"],
  ["stop_sequence", "stop"],
  ["length", "length"],
  ["max_tokens", "length"],
  ["tool_calls", "tool_calls"],
  ["function_call", "tool_calls"],
  ["content_filter", "content_filter"],
]);

export interface AnswerOptions {
  readonly choices: number;
  /** The usage in a chunk with one choice counts that choice so far, not the whole answer. */
  readonly hasRunningUsage: boolean;
}

export class AnswerParts {
  readonly #options: AnswerOptions;
  readonly #reasonByIndex = new Map<number, FinishReason>();
  /** Tokens given so far, by choice, and of all choices. */
  readonly #tokensByIndex: number[];
  #tokens = 0;
  #prompt: { readonly tokens: number; readonly cached: number } | null = null;
  #total: ChunkUsage | null = null;

  constructor(options: AnswerOptions) {
    this.#options = options;
    this.#tokensByIndex = Array.from({ length: options.choices }, () => 0);
  }

  /** Every choice has ended: only usage may still come. */
  get isFinished(): boolean {
    return this.#reasonByIndex.size === this.#options.choices;
  }

  get isUsageKnown(): boolean {
    return this.#total !== null;
  }

  /** The parts of one chunk. Throws ChunkError. */
  add(chunk: Chunk): OutputPart[] {
    const parts: OutputPart[] = [];
    this.#readUsage(chunk);
    for (const choice of chunk.choices) {
      const { index } = choice;
      if (index >= this.#options.choices) {
        throw new ChunkError(`choice ${index} comes where ${this.#options.choices} were asked for`);
      }
      const tokens = this.#count(choice, chunk);
      const part = partOf(choice, tokens);
      if (part !== null) {
        if (this.#reasonByIndex.has(index)) {
          if (isBare(part)) continue;
          throw new ChunkError("output comes after the end");
        }
        this.#tokens += tokens;
        this.#tokensByIndex[index] = (this.#tokensByIndex[index] ?? 0) + tokens;
        parts.push(part);
      }
      if (choice.finish !== null) this.#end(index, choice.finish);
    }
    return parts;
  }

  /** A last part, if tokens are left to count, and the end; `promptTokens` where none are told. */
  end(promptTokens: number): EngineEvent[] {
    const counted = this.#total?.completion ?? 0;
    const completion = Math.max(counted, this.#tokens);
    const finishes: Finish[] = [...this.#reasonByIndex].map(([index, reason]) => ({
      index,
      reason,
    }));
    const prompt = this.#prompt ?? { tokens: promptTokens, cached: 0 };
    const usage: Usage = { prompt: prompt.tokens, completion, cached: prompt.cached };
    const end: EngineEvent = { kind: "end", finishes, usage };
    const rest = completion - this.#tokens;
    if (rest === 0) return [end];
    return [{ kind: "part", part: { index: 0, tokens: rest } }, end];
  }

  #readUsage({ choices, usage, timings }: Chunk): void {
    if (timings !== null && timings.prompt > 0) {
      this.#prompt = { tokens: timings.prompt, cached: timings.cached };
    }
    if (usage === null) return;
    if (usage.prompt > 0) this.#prompt = { tokens: usage.prompt, cached: usage.cached };
    if (this.#isRunning(choices)) return;
    // An answer has tokens: a zero beside text is a server that does not count.
    if (usage.completion > 0 || this.#tokens === 0) this.#total = usage;
  }

  #isRunning(choices: readonly ChunkChoice[]): boolean {
    return this.#options.hasRunningUsage && choices.length > 0;
  }

  /** The tokens that a choice's chunk brings (A4). */
  #count(choice: ChunkChoice, { choices, usage, timings }: Chunk): number {
    const before = this.#tokensByIndex[choice.index] ?? 0;
    if (choices.length === 1) {
      const running = this.#isRunning(choices) ? usage?.completion : undefined;
      const soFar = timings?.made ?? running;
      if (soFar !== undefined) return Math.max(0, soFar - before);
    }
    if (choice.logprobs !== null && choice.logprobs.length > 0) return choice.logprobs.length;
    return choice.text !== "" || choice.reasoning !== "" ? 1 : 0;
  }

  #end(index: number, name: string): void {
    const reason = finishByName.get(name);
    if (reason === undefined) {
      throw new ChunkError(`a choice ends with ${JSON.stringify(name.slice(0, 32))}`);
    }
    if (this.#reasonByIndex.has(index)) throw new ChunkError("a choice ends twice");
    this.#reasonByIndex.set(index, reason);
  }
}

/** Whether a part only counts: its tokens come with the usage anyway. */
function isBare({ text, reasoning, tool_calls: calls }: OutputPart): boolean {
  return text === undefined && reasoning === undefined && calls === undefined;
}

/** Null where the chunk brings nothing: a role, or an end alone. */
function partOf(choice: ChunkChoice, tokens: number): OutputPart | null {
  const { index, text, reasoning, toolCalls, logprobs } = choice;
  const isEmpty = text === "" && reasoning === "" && toolCalls.length === 0;
  if (isEmpty && tokens === 0) return null;
  const part: OutputPart = { index, tokens };
  if (text !== "") part.text = text;
  if (reasoning !== "") part.reasoning = reasoning;
  if (toolCalls.length > 0) part.tool_calls = [...toolCalls];
  if (logprobs !== null && logprobs.length > 0) part.logprobs = [...logprobs];
  return part;
}
