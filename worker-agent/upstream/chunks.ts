import type { TokenLogprob, ToolCallDelta } from "../../shared/openai/output.ts";

/** What is read of one event of a stream: every server's shape of it in one. */
export interface Chunk {
  readonly choices: readonly ChunkChoice[];
  readonly usage: ChunkUsage | null;
  /** llama-server: tokens of this choice so far, and of the prompt. */
  readonly timings: {
    readonly made: number;
    readonly prompt: number;
    readonly cached: number;
  } | null;
}

export interface ChunkChoice {
  readonly index: number;
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCallDelta[];
  readonly logprobs: readonly TokenLogprob[] | null;
  readonly finish: string | null;
}

export interface ChunkUsage {
  readonly prompt: number;
  readonly completion: number;
  readonly cached: number;
}

/** What a server sent is not what its protocol says: the message names the rule. */
export class ChunkError extends Error {
  override readonly name = "ChunkError";
}

type Fields = Readonly<Record<string, unknown>>;

/** The limits of the wire (`shared/openai/output.ts`), kept here so that no frame is refused. */
const indexMax = 127;
const nameCharsMax = 128;
const tokenCharsMax = 1024;
const topLogprobsMax = 20;

/**
 * Reads one chunk of a chat or completion stream. By hand and not by schema: this runs for every
 * token. Throws ChunkError.
 */
export function readChunk(value: unknown): Chunk {
  const chunk = fieldsOf(value, "a chunk");
  const { choices } = chunk;
  if (choices !== undefined && choices !== null && !Array.isArray(choices)) {
    throw new ChunkError("its choices are no list");
  }
  return {
    choices: ((choices ?? []) as unknown[]).map(readChoice),
    usage: readUsage(chunk["usage"]),
    timings: readTimings(chunk["timings"]),
  };
}

function readChoice(value: unknown): ChunkChoice {
  const choice = fieldsOf(value, "a choice");
  const delta = choice["delta"];
  // A completion's text is in the choice itself, a chat's in its delta.
  const from = delta === undefined || delta === null ? choice : fieldsOf(delta, "a delta");
  const { logprobs } = choice;
  const finish = choice["finish_reason"] ?? null;
  if (finish !== null && typeof finish !== "string") throw new ChunkError("a finish is no text");
  return {
    index: indexOf(choice["index"]),
    text: textOf(from["content"] ?? from["text"]),
    reasoning: textOf(from["reasoning_content"] ?? from["reasoning"]),
    toolCalls: readToolCalls(from["tool_calls"]),
    logprobs: logprobs === undefined || logprobs === null ? null : readLogprobs(logprobs),
    finish: finish === "" ? null : finish,
  };
}

function readToolCalls(value: unknown): ToolCallDelta[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new ChunkError("its tool calls are no list");
  return value.map((item: unknown, at): ToolCallDelta => {
    const call = fieldsOf(item, "a tool call");
    const made = call["function"] === undefined ? {} : fieldsOf(call["function"], "a function");
    const { name, arguments: given } = made;
    const { id } = call;
    return {
      index: call["index"] === undefined ? at : indexOf(call["index"]),
      ...(typeof id === "string" && id !== "" ? { id: short(id, "a tool call's id") } : {}),
      ...(typeof name === "string" && name !== "" ? { name: short(name, "a tool's name") } : {}),
      // Some servers send arguments as the object they are.
      ...(given === undefined || given === null
        ? {}
        : { arguments: typeof given === "string" ? given : JSON.stringify(given) }),
    };
  });
}

function short(text: string, what: string): string {
  if (text.length <= nameCharsMax) return text;
  throw new ChunkError(`${what} has over ${nameCharsMax} characters`);
}

/** Both shapes: a list of entries (chat, llama-server) and parallel lists (completions). */
function readLogprobs(value: unknown): TokenLogprob[] {
  const { content, tokens, token_logprobs: own, top_logprobs: tops } = fieldsOf(value, "logprobs");
  if (Array.isArray(content)) {
    return content.map((item: unknown) => {
      const entry = fieldsOf(item, "a logprob");
      const others = Array.isArray(entry["top_logprobs"]) ? entry["top_logprobs"] : [];
      const top_logprobs = others.slice(0, topLogprobsMax).map((other: unknown) => {
        return readLogprob(fieldsOf(other, "a logprob"));
      });
      return { ...readLogprob(entry), top_logprobs };
    });
  }
  if (!Array.isArray(tokens)) return [];
  return tokens.map((token: unknown, at) => {
    const logprob = Array.isArray(own) ? (own[at] as unknown) : null;
    const byToken: unknown = Array.isArray(tops) ? tops[at] : null;
    const others = byToken === null || byToken === undefined ? {} : fieldsOf(byToken, "a logprob");
    const top_logprobs = Object.entries(others)
      .slice(0, topLogprobsMax)
      .map(([text, one]) => readLogprob({ token: text, logprob: one }));
    return { ...readLogprob({ token, logprob }), top_logprobs };
  });
}

/** JSON has no −∞, which servers write as null; vLLM writes this number. */
const leastLogprob = -9999;

function readLogprob(entry: Fields): Omit<TokenLogprob, "top_logprobs"> {
  const { token, logprob, bytes } = entry;
  if (typeof token !== "string") throw new ChunkError("a logprob names no token");
  const isNumber = typeof logprob === "number" && Number.isFinite(logprob);
  const areBytes =
    Array.isArray(bytes) &&
    bytes.every((byte) => typeof byte === "number" && byte >= 0 && byte <= 255);
  return {
    token: token.slice(0, tokenCharsMax),
    logprob: isNumber ? logprob : leastLogprob,
    bytes: areBytes ? (bytes as number[]) : null,
  };
}

/** The usage of an answer; null where it is not told. */
function readUsage(value: unknown): ChunkUsage | null {
  if (value === undefined || value === null) return null;
  const usage = fieldsOf(value, "usage");
  const details = usage["prompt_tokens_details"];
  const cached =
    details === undefined || details === null ? 0 : fieldsOf(details, "usage")["cached_tokens"];
  const prompt = countOf(usage["prompt_tokens"]);
  return {
    prompt,
    completion: countOf(usage["completion_tokens"]),
    cached: Math.min(prompt, countOf(cached)),
  };
}

function readTimings(value: unknown): Chunk["timings"] {
  if (typeof value !== "object" || value === null) return null;
  const { predicted_n: made, prompt_n: fresh, cache_n: kept } = value as Fields;
  const cached = countOf(kept);
  return { made: countOf(made), prompt: countOf(fresh) + cached, cached };
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new ChunkError(`${what} is no object`);
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  throw new ChunkError("a text is no text");
}

function indexOf(value: unknown): number {
  if (value === undefined) return 0;
  if (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= indexMax) {
    return Number(value);
  }
  throw new ChunkError(`an index is ${String(value)}`);
}

/** A count of tokens; what is none counts nothing, so that a wrong one is never billed. */
function countOf(value: unknown): number {
  return Number.isInteger(value) && Number(value) > 0 ? Math.min(Number(value), 100_000_000) : 0;
}
