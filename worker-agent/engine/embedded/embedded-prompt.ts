import type { ChatMessage } from "../../../shared/openai/chat-request.ts";
import { EngineError } from "../engine.ts";
import type { Tool } from "../tools/tool-format.ts";

/** A call in the history, with the result that answered it. */
export interface HistoryCall {
  readonly type: "call";
  readonly name: string;
  readonly arguments: string;
  /** Null where the conversation has none. */
  result: string | null;
}

/** A conversation as the embedded engine's chat template takes it. */
export type HistoryItem =
  | { type: "system"; text: string }
  | { type: "user"; text: string }
  | { type: "model"; response: (string | HistoryCall)[] };

/** What the prompt of a conversation is made of. */
export interface ChatPromptRequest {
  readonly history: readonly HistoryItem[];
  /** Tools the model is told of. */
  readonly tools: readonly Tool[];
}

export interface ChatPrompt {
  readonly prompt: readonly number[];
  /** Tokens that end an answer beside the model's own. */
  readonly endTokens: ReadonlySet<number>;
}

/**
 * The messages of a request as a history that the model is to answer. Where the last message is the
 * assistant's, the model continues that message; results of tools lie with their calls. Throws
 * EngineError `invalid_request` on what a text model cannot read.
 */
export function historyOf(messages: readonly ChatMessage[]): HistoryItem[] {
  const history: HistoryItem[] = [];
  const callById = new Map<string, HistoryCall>();
  for (const message of messages) {
    if (message.role !== "tool") {
      history.push(itemOf(message, callById));
      continue;
    }
    const call = callById.get(message.tool_call_id);
    if (call === undefined) {
      const said = `no call has the id ${message.tool_call_id}`;
      throw new EngineError("invalid_request", `Cannot read a tool message: ${said}`);
    }
    call.result = textOf(message.content);
  }
  const last = history.at(-1);
  if (last?.type !== "model") history.push({ type: "model", response: [] });
  return history;
}

function itemOf(
  message: Exclude<ChatMessage, { role: "tool" }>,
  callById: Map<string, HistoryCall>,
): HistoryItem {
  switch (message.role) {
    case "system":
    case "developer":
      return { type: "system", text: textOf(message.content) };
    case "user":
      return { type: "user", text: textOf(message.content) };
    case "assistant": {
      const text = textOf(message.content ?? message.refusal ?? "");
      const calls = (message.tool_calls ?? []).map(
        ({ id, function: { name, arguments: args } }) => {
          const call: HistoryCall = { type: "call", name, arguments: args, result: null };
          callById.set(id, call);
          return call;
        },
      );
      return { type: "model", response: text === "" ? calls : [text, ...calls] };
    }
  }
}

/** Parts are joined by line ends, as other servers of open models do. */
function textOf(content: NonNullable<ChatMessage["content"]>): string {
  if (typeof content === "string") return content;
  const texts = content.map((part) => {
    if (part.type === "text") return part.text;
    return part.type === "refusal" ? part.refusal : refuse(part.type);
  });
  return texts.join("\n");
}

function refuse(what: string): never {
  throw new EngineError("invalid_request", `Cannot read ${what}: this model takes only text`);
}
