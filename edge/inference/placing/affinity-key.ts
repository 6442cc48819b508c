import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import type { ChatMessage } from "../../../shared/openai/chat-request.ts";
import type { InferenceRequest } from "../engine-request.ts";

/** A beginning this long tells conversations apart, and is hashed in microseconds. */
const charsMax = 4_096;
/** Whoever continues a text sends it again with more at its end: few begin alike for so long. */
const promptChars = 256;
/** 64 bits: two conversations with one key would merely share a worker. */
const hexDigits = 16;

/**
 * The key under which a conversation finds the worker whose prompt cache has its beginning: of the
 * account, the model, and what comes before the first answer. Each later turn has the same. Null
 * for documents, of which no engine keeps anything.
 */
export async function affinityKey(
  accountId: string,
  wanted: InferenceRequest,
): Promise<string | null> {
  const beginning = beginningOf(wanted);
  if (beginning === null) return null;
  const text = JSON.stringify([accountId, wanted.request.model, ...beginning]);
  return (await sha256Hex(text)).slice(0, hexDigits);
}

function beginningOf(wanted: InferenceRequest): readonly string[] | null {
  if (wanted.kind === "completion") return [String(wanted.request.prompt).slice(0, promptChars)];
  if (wanted.kind !== "chat") return null;
  const { messages } = wanted.request;
  const first = messages.findIndex(({ role }) => role === "user");
  if (first < 0) return null;
  return messages.slice(0, first + 1).map((message) => `${message.role}:${textOf(message)}`);
}

/** The words of a message; pictures and sounds are as long as a whole body. */
function textOf({ content }: ChatMessage): string {
  if (typeof content === "string") return content.slice(0, charsMax);
  const parts = (content ?? []).map((part) => (part.type === "text" ? part.text : part.type));
  return parts.join("\n").slice(0, charsMax);
}
