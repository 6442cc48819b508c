import type { ChatMessage } from "../../shared/openai/chat-request.ts";
import { EngineError } from "./engine.ts";

/** A conversation as the embedded engine's chat template takes it. */
export type HistoryItem =
  | { type: "system"; text: string }
  | { type: "user"; text: string }
  | { type: "model"; response: string[] };

/**
 * The messages of a request as a history that the model is to answer. Where the last message is the
 * assistant's, the model continues that message. Throws EngineError `invalid_request` on what a
 * text model cannot read.
 */
export function historyOf(messages: readonly ChatMessage[]): HistoryItem[] {
  const history = messages.map(itemOf);
  if (history.at(-1)?.type !== "model") history.push({ type: "model", response: [] });
  return history;
}

function itemOf(message: ChatMessage): HistoryItem {
  switch (message.role) {
    case "system":
    case "developer":
      return { type: "system", text: textOf(message.content) };
    case "user":
      return { type: "user", text: textOf(message.content) };
    case "assistant":
      if (message.tool_calls !== undefined) refuse("tool_calls");
      return { type: "model", response: [textOf(message.content ?? message.refusal ?? "")] };
    case "tool":
      return refuse("a tool message");
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
