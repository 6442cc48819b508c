import { isRecord } from "../is-record.ts";
import type { ChatRequest } from "./chat-request.ts";
import { tokensMax } from "./sampling.ts";

const plainRoles: ReadonlySet<unknown> = new Set(["system", "developer", "user", "assistant"]);
const messagesMax = 4096;
const modelCharsMax = 200;

/**
 * Reads the commonest request by hand: messages of plain text, and how much is to come of it. Null
 * for everything else, which the schema then judges; it never accepts what the schema of a chat
 * request would not (a test holds them together). In a Worker, where no code may be generated, the
 * schema takes as long over a short request as all its signatures together.
 */
export function readPlainChat(value: unknown): ChatRequest | null {
  if (!isRecord(value)) return null;
  for (const field of Object.keys(value)) {
    if (!isPlainField(field, value[field])) return null;
  }
  // What every request has: with both of them, each field is as the type says.
  if (value["model"] === undefined || value["messages"] === undefined) return null;
  return value as ChatRequest;
}

function isPlainField(field: string, value: unknown): boolean {
  switch (field) {
    case "model":
      return typeof value === "string" && value.length > 0 && value.length <= modelCharsMax;
    case "messages":
      return Array.isArray(value) && value.length <= messagesMax && areMessages(value);
    case "stream":
      return typeof value === "boolean";
    case "max_tokens":
    case "max_completion_tokens":
      return Number.isInteger(value) && isWithin(value, 1, tokensMax);
    case "temperature":
      return isWithin(value, 0, 2);
    case "top_p":
      return isWithin(value, 0, 1);
    default:
      return false;
  }
}

function areMessages(messages: readonly unknown[]): boolean {
  return messages.length > 0 && messages.every(isPlainMessage);
}

function isPlainMessage(message: unknown): boolean {
  if (!isRecord(message) || Object.keys(message).length !== 2) return false;
  return plainRoles.has(message["role"]) && typeof message["content"] === "string";
}

function isWithin(value: unknown, least: number, most: number): boolean {
  return typeof value === "number" && value >= least && value <= most;
}
