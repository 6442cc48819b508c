import type { ChatRequest } from "../../../shared/openai/chat-request.ts";
import type { FinishReason, TokenLogprob, ToolCallDelta } from "../../../shared/openai/output.ts";
import { utf8 } from "../../../shared/crypto/bytes.ts";
import type { GenerateTask } from "../engine.ts";
import { minimalInstance } from "../minimal-instance.ts";
import type { SyntheticScript } from "./synthetic-script.ts";

/** One choice, decided before its first token: the engine only has to pace it. */
export interface SyntheticAnswer {
  readonly tokens: readonly string[];
  /** Tokens that count though no text of theirs leaves: those of a stop sequence. */
  readonly silentTokens: number;
  readonly toolCall: ToolCallDelta | null;
  readonly finish: FinishReason;
}

/** A chat template costs a model a few tokens a message; four is what ChatML takes. */
const templateTokensPerMessage = 4;

export function countPromptTokens(task: GenerateTask): number {
  if (task.kind === "completion") return Math.max(1, countWords(promptOf(task)));
  let count = 0;
  for (const message of task.request.messages) {
    count += templateTokensPerMessage + countWords(textOf(message.content));
  }
  return count;
}

/** The text that may hold a script: the last user message, or the whole prompt of a completion. */
export function promptOf(task: GenerateTask): string {
  if (task.kind === "completion") {
    const { prompt } = task.request;
    return typeof prompt === "string" ? prompt : (prompt[0] ?? "");
  }
  const last = task.request.messages.findLast((message) => message.role === "user");
  return textOf(last?.content);
}

/** The answer of choice `index`, at most `tokensMax` tokens long. */
export function composeAnswer(
  task: GenerateTask,
  script: SyntheticScript,
  options: { readonly index: number; readonly answerTokens: number; readonly tokensMax: number },
): SyntheticAnswer {
  const call = toolCallOf(task, script, options.index);
  if (call !== null) {
    return { tokens: [], silentTokens: 1, toolCall: call, finish: "tool_calls" };
  }
  const text = fixedText(task, script);
  const seed = typeof task.request.seed === "number" ? task.request.seed + options.index : null;
  const wanted = script.tokens ?? options.answerTokens;
  const counted = Math.min(wanted, options.tokensMax + 1);
  const whole = text === null ? numberedWords(counted, seed ?? options.index) : splitWords(text);
  const tokens = whole.length > options.tokensMax ? whole.slice(0, options.tokensMax) : whole;
  const stopped = cutAtStop(tokens, task.request.stop ?? []);
  if (stopped !== null) return { ...stopped, toolCall: null, finish: "stop" };
  const finish = whole.length > options.tokensMax ? "length" : "stop";
  return { tokens, silentTokens: 0, toolCall: null, finish };
}

/** A stand-in for a token's log probability, the same for every run. */
export function syntheticLogprob(token: string, alternatives: number): TokenLogprob {
  const entry = (text: string, logprob: number) => ({
    token: text,
    logprob,
    bytes: [...utf8(text)],
  });
  const others = Array.from({ length: alternatives }, (_, rank) =>
    entry(rank === 0 ? token : `${token}~${rank}`, rank === 0 ? -0.125 : -2 - rank),
  );
  return { ...entry(token, -0.125), top_logprobs: others };
}

function fixedText(task: GenerateTask, script: SyntheticScript): string | null {
  if (script.text !== undefined) return script.text;
  const format = task.kind === "chat" ? task.request.response_format : null;
  if (format?.type === "json_object") return '{"answer": "word1"}';
  if (format?.type !== "json_schema") return null;
  return JSON.stringify(minimalInstance(format.json_schema.schema ?? { type: "object" }));
}

function toolCallOf(
  task: GenerateTask,
  script: SyntheticScript,
  index: number,
): ToolCallDelta | null {
  const id = `call_synthetic_${index}`;
  if (script.tool !== undefined) {
    return { index: 0, id, name: script.tool, arguments: script.args ?? "{}" };
  }
  const choice = task.kind === "chat" ? task.request.tool_choice : null;
  if (task.kind !== "chat" || !choice || choice === "auto" || choice === "none") return null;
  const tools = task.request.tools ?? [];
  const wanted = choice === "required" ? null : choice.function.name;
  const tool = tools.find((one) => wanted === null || one.function.name === wanted);
  if (tool === undefined) return null;
  const args = JSON.stringify(minimalInstance(tool.function.parameters ?? { type: "object" }));
  return { index: 0, id, name: tool.function.name, arguments: args };
}

/** Grown once and shared: benchmarks ask for the same words thousands of times a second. */
const plainWords: string[] = [];

function numberedWords(count: number, seed: number): readonly string[] {
  const mark = seed === 0 ? "" : `-${seed}`;
  const words = mark === "" ? plainWords : [];
  for (let i = words.length; i < count; i++) words.push(`${i === 0 ? "" : " "}word${i + 1}${mark}`);
  return words.length === count ? words : words.slice(0, count);
}

/** Words with the white space before them, so that the tokens join to the text exactly. */
function splitWords(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

function countWords(text: string): number {
  let count = 0;
  let inWord = false;
  for (let i = 0; i < text.length; i++) {
    const isSpace = text.charCodeAt(i) <= 32;
    if (!isSpace && !inWord) count++;
    inWord = !isSpace;
  }
  return count;
}

function cutAtStop(
  tokens: readonly string[],
  stop: string | readonly string[],
): { tokens: string[]; silentTokens: number } | null {
  const stops = typeof stop === "string" ? [stop] : stop;
  if (stops.length === 0) return null;
  const text = tokens.join("");
  let cut = Number.POSITIVE_INFINITY;
  let cutEnd = 0;
  for (const sequence of stops) {
    const at = text.indexOf(sequence);
    if (at >= 0 && at < cut) [cut, cutEnd] = [at, at + sequence.length];
  }
  if (cut === Number.POSITIVE_INFINITY) return null;
  const kept: string[] = [];
  let length = 0;
  let used = 0;
  for (const token of tokens) {
    if (length >= cutEnd) break;
    used++;
    if (length < cut) kept.push(token.slice(0, cut - length));
    length += token.length;
  }
  return { tokens: kept, silentTokens: used - kept.length };
}

type Content = ChatRequest["messages"][number]["content"];

function textOf(content: Content | undefined): string {
  if (typeof content === "string") return content;
  let text = "";
  for (const part of content ?? []) if (part.type === "text") text += part.text;
  return text;
}
