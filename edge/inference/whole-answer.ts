import type { TokenCounts } from "../../shared/money.ts";
import type { Finish, OutputPart, TokenLogprob } from "../../shared/openai/output.ts";
import {
  answerId,
  answerUsage,
  createdSeconds,
  fingerprint,
  type AnswerHead,
} from "./answer-head.ts";

/** What a hub gathered of an answer that the consumer wanted in one piece. */
export interface GatheredAnswer {
  readonly parts: readonly OutputPart[];
  readonly finishes: readonly Finish[];
  readonly counts: TokenCounts;
}

/** The body of a chat completion or text completion that is not streamed. */
export function wholeAnswer(head: AnswerHead, answer: GatheredAnswer): Record<string, unknown> {
  const choices = answer.finishes
    .toSorted((a, b) => a.index - b.index)
    .map((finish) => {
      const parts = answer.parts.filter((part) => part.index === finish.index);
      return head.kind === "chat" ? chatChoice(finish, parts) : completionChoice(finish, parts);
    });
  return {
    id: answerId(head),
    object: head.kind === "chat" ? "chat.completion" : "text_completion",
    created: createdSeconds(head),
    model: head.model,
    system_fingerprint: fingerprint(head),
    choices,
    usage: answerUsage(answer.counts),
  };
}

function chatChoice(finish: Finish, parts: readonly OutputPart[]): Record<string, unknown> {
  const text = joined(parts, "text");
  const reasoning = joined(parts, "reasoning");
  const calls = toolCalls(parts);
  const logprobs = parts.flatMap((part) => part.logprobs ?? []);
  return {
    index: finish.index,
    message: {
      role: "assistant",
      content: text ?? (calls.length > 0 ? null : ""),
      refusal: null,
      ...(reasoning === null ? {} : { reasoning_content: reasoning }),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
    },
    logprobs: logprobs.length === 0 ? null : { content: logprobs, refusal: null },
    finish_reason: finish.reason,
  };
}

function completionChoice(finish: Finish, parts: readonly OutputPart[]): Record<string, unknown> {
  const logprobs = parts.flatMap((part) => part.logprobs ?? []);
  return {
    index: finish.index,
    text: joined(parts, "text") ?? "",
    logprobs: completionLogprobs(logprobs.length === 0 ? undefined : logprobs),
    finish_reason: finish.reason,
  };
}

/** The pieces of one field in order, or null where no part had it. */
function joined(parts: readonly OutputPart[], field: "text" | "reasoning"): string | null {
  const pieces = parts.flatMap((part) => part[field] ?? []);
  return pieces.length === 0 ? null : pieces.join("");
}

interface ToolCall {
  id: string;
  readonly type: "function";
  readonly function: { name: string; arguments: string };
}

function toolCalls(parts: readonly OutputPart[]): ToolCall[] {
  const calls = new Map<number, ToolCall>();
  for (const delta of parts.flatMap((part) => part.tool_calls ?? [])) {
    const call = calls.get(delta.index) ?? {
      id: "",
      type: "function" as const,
      function: { name: "", arguments: "" },
    };
    call.id ||= delta.id ?? "";
    call.function.name += delta.name ?? "";
    call.function.arguments += delta.arguments ?? "";
    calls.set(delta.index, call);
  }
  return [...calls.entries()].toSorted(([a], [b]) => a - b).map(([, call]) => call);
}

/** The older API's log probabilities: parallel arrays instead of a list of tokens. */
export function completionLogprobs(logprobs: readonly TokenLogprob[] | undefined): unknown {
  if (logprobs === undefined) return null;
  return {
    tokens: logprobs.map((entry) => entry.token),
    token_logprobs: logprobs.map((entry) => entry.logprob),
    top_logprobs: logprobs.map((entry) =>
      Object.fromEntries(entry.top_logprobs.map((top) => [top.token, top.logprob])),
    ),
  };
}
