import type { OutputPart, ToolCallDelta } from "../../shared/openai/output.ts";
import { partBytes, utf8Length } from "../../shared/protocol/receipt.ts";

/** Limits of `outputPartSchema`, beyond which parts are not merged. */
const toolCallsPerPartMax = 128;
const logprobsPerPartMax = 4096;

/** `gathered` with `part` behind it; neighbours of one choice become one part. */
export function appendPart(gathered: readonly OutputPart[], part: OutputPart): OutputPart[] {
  const last = gathered.at(-1);
  if (last === undefined || last.index !== part.index || !canMerge(last, part)) {
    return [...gathered, part];
  }
  return [...gathered.slice(0, -1), merge(last, part)];
}

function canMerge(a: OutputPart, b: OutputPart): boolean {
  const calls = (a.tool_calls?.length ?? 0) + (b.tool_calls?.length ?? 0);
  const logprobs = (a.logprobs?.length ?? 0) + (b.logprobs?.length ?? 0);
  return calls <= toolCallsPerPartMax && logprobs <= logprobsPerPartMax;
}

function merge(a: OutputPart, b: OutputPart): OutputPart {
  const merged: OutputPart = { index: a.index, tokens: a.tokens + b.tokens };
  const text = (a.text ?? "") + (b.text ?? "");
  const reasoning = (a.reasoning ?? "") + (b.reasoning ?? "");
  if (text !== "") merged.text = text;
  if (reasoning !== "") merged.reasoning = reasoning;
  if (a.tool_calls ?? b.tool_calls) {
    merged.tool_calls = joinToolCalls(a.tool_calls ?? [], b.tool_calls ?? []);
  }
  if (a.logprobs ?? b.logprobs) merged.logprobs = [...(a.logprobs ?? []), ...(b.logprobs ?? [])];
  const ids = joinTokenIds(a, b);
  if (ids !== null) merged.token_ids = ids;
  return merged;
}

/** Unknown tokens on either side leave the whole unknown, but for a side of nothing. */
function joinTokenIds(a: OutputPart, b: OutputPart): number[] | null {
  const isNothing = ({ tokens, text = "" }: OutputPart) => tokens === 0 && text === "";
  const before = a.token_ids ?? (isNothing(a) ? [] : null);
  const after = b.token_ids ?? (isNothing(b) ? [] : null);
  const isKnown = a.token_ids !== undefined || b.token_ids !== undefined;
  return isKnown && before !== null && after !== null ? [...before, ...after] : null;
}

/** Arguments of one call that follow each other become one piece, as neighbouring texts do. */
function joinToolCalls(a: readonly ToolCallDelta[], b: readonly ToolCallDelta[]): ToolCallDelta[] {
  const joined = [...a];
  for (const call of b) {
    const last = joined.at(-1);
    const goesOn = last?.index === call.index && call.id === undefined && call.name === undefined;
    if (goesOn) {
      joined[joined.length - 1] = {
        ...last,
        arguments: (last.arguments ?? "") + (call.arguments ?? ""),
      };
    } else joined.push(call);
  }
  return joined;
}

/**
 * The first parts that hold at most `bytes` bytes of output, and what is left. A part may be cut in
 * two.
 */
export function takeBytes(
  parts: readonly OutputPart[],
  bytes: number,
): { readonly head: OutputPart[]; readonly rest: OutputPart[] } {
  const head: OutputPart[] = [];
  let left = bytes;
  for (const [at, part] of parts.entries()) {
    const size = partBytes(part);
    if (size <= left) {
      head.push(part);
      left -= size;
      continue;
    }
    const [first, second] = cutPart(part, left, size);
    if (first !== null) head.push(first);
    return { head, rest: [second, ...parts.slice(at + 1)] };
  }
  return { head, rest: [] };
}

/**
 * Cuts a part of `size` bytes after at most `bytes` of them, at a character's end. Tokens and
 * logprobs go with the bytes they stand for, rounded towards the second half: a cut never makes the
 * consumer pay early. The ids of all its tokens go with the first half: they spell
 * at least its text, and what they spell beyond that follows.
 */
function cutPart(part: OutputPart, bytes: number, size: number): [OutputPart | null, OutputPart] {
  let left = bytes;
  const text = cutText(part.text ?? "", left);
  left -= utf8Length(text.head);
  const reasoning = cutText(part.reasoning ?? "", text.rest === "" ? left : 0);
  left -= utf8Length(reasoning.head);
  const isCut = text.rest !== "" || reasoning.rest !== "";
  const all = part.tool_calls ?? [];
  const calls = isCut ? { head: [], rest: [...all] } : cutToolCalls(all, left);
  const first: OutputPart = { index: part.index, tokens: 0 };
  const second: OutputPart = { index: part.index, tokens: 0 };
  if (text.head !== "") first.text = text.head;
  if (text.rest !== "") second.text = text.rest;
  if (reasoning.head !== "") first.reasoning = reasoning.head;
  if (reasoning.rest !== "") second.reasoning = reasoning.rest;
  if (calls.head.length > 0) first.tool_calls = calls.head;
  if (calls.rest.length > 0) second.tool_calls = calls.rest;
  if (partBytes(first) === 0) return [null, part];
  first.tokens = Math.floor((part.tokens * partBytes(first)) / size);
  second.tokens = part.tokens - first.tokens;
  const logprobs = part.logprobs ?? [];
  if (first.tokens > 0 && logprobs.length > 0) first.logprobs = logprobs.slice(0, first.tokens);
  if (logprobs.length > first.tokens) second.logprobs = logprobs.slice(first.tokens);
  if (part.token_ids !== undefined) {
    first.token_ids = part.token_ids;
    second.token_ids = [];
  }
  return [first, second];
}

function cutToolCalls(
  calls: readonly ToolCallDelta[],
  bytes: number,
): { head: ToolCallDelta[]; rest: ToolCallDelta[] } {
  const head: ToolCallDelta[] = [];
  let left = bytes;
  for (const [at, call] of calls.entries()) {
    const size = utf8Length(call.name ?? "") + utf8Length(call.arguments ?? "");
    if (size <= left) {
      head.push(call);
      left -= size;
      continue;
    }
    const named = utf8Length(call.name ?? "");
    const cut = cutText(call.arguments ?? "", left - named);
    // The id and the name come once and whole, so a call is cut only inside its arguments.
    if (named > left || cut.head === "") return { head, rest: calls.slice(at) };
    head.push({ ...call, arguments: cut.head });
    return { head, rest: [{ index: call.index, arguments: cut.rest }, ...calls.slice(at + 1)] };
  }
  return { head, rest: [] };
}

/** `text` cut after at most `bytes` UTF-8 bytes, never inside a surrogate pair. */
function cutText(text: string, bytes: number): { readonly head: string; readonly rest: string } {
  let used = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.codePointAt(at) ?? 0;
    const units = code > 0xffff ? 2 : 1;
    const size = utf8Length(text.slice(at, at + units));
    if (used + size > bytes) break;
    used += size;
    at += units;
  }
  return { head: text.slice(0, at), rest: text.slice(at) };
}
