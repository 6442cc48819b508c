import type { ChatMessage } from "../../shared/openai/chat-request.ts";
import { chatRequestSchema } from "../../shared/openai/chat-request.ts";
import { completionRequestSchema } from "../../shared/openai/completion-request.ts";
import { cannot } from "../engine/cannot.ts";
import type { GenerateTask } from "../engine/engine.ts";
import { EngineError } from "../engine/engine.ts";
import type { Dialect } from "./dialects.ts";

/** The most tokens the whole answer may have, a prefix included; null where nobody said. */
export function askedTokens({ kind, request }: GenerateTask): number | null {
  return (kind === "chat" ? request.max_completion_tokens : null) ?? request.max_tokens ?? null;
}

/** A generation as a server is asked for it. */
export interface UpstreamRequest {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly choices: number;
}

/** Only between a consumer and the edge, or named otherwise. */
const notSent = new Set(["user", "stream", "stream_options", "max_completion_tokens"]);

/** OpenAI's fields that servers know; some refuse a request for one they do not. */
const commonFields: ReadonlySet<string> = new Set([
  ...Object.keys(chatRequestSchema.shape),
  ...Object.keys(completionRequestSchema.shape),
  "reasoning_effort",
]);

/**
 * The consumer's request as `model` of a server gets it: unchanged but for its name, for what
 * servers name differently, and for being streamed with its tokens counted. Of the tokens asked for
 * `prefixTokens` are there already.
 */
export function upstreamRequest(
  task: GenerateTask,
  model: string,
  dialect: Dialect,
  prefixTokens = 0,
): UpstreamRequest {
  const body: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(task.request)) {
    // Null is "not given", which not every server takes.
    if (value === null || value === undefined || notSent.has(field)) continue;
    if (commonFields.has(field) || dialect.params.includes(field)) body[field] = value;
  }
  Object.assign(body, dialect.counting, {
    model,
    stream: true,
    stream_options: { include_usage: true, ...dialect.streamOptions },
  });
  const { seed, n } = task.request;
  if (typeof seed === "number") body["seed"] = plainSeed(seed);
  const choices = n ?? 1;
  if (choices === 1) delete body["n"];
  if (choices > 1 && task.prefix !== undefined) throw cannot("continue several choices");
  // Every server knows the older name, and Ollama only that; a server counts what it makes itself.
  const asked = askedTokens(task);
  if (asked !== null) body["max_tokens"] = asked - prefixTokens;
  if (task.kind === "completion") {
    const { prompt } = task.request;
    body["prompt"] = (typeof prompt === "string" ? prompt : prompt[0]) + (task.prefix?.text ?? "");
    return { path: "/v1/completions", body, choices };
  }
  const { messages } = task.request;
  assertImagesInside(messages);
  body["messages"] = messages.map(plainRole);
  chooseTools(task, body, dialect);
  if (task.prefix !== undefined) {
    if (dialect.prefix === null) throw cannot("continue an answer");
    body["messages"] = [
      ...messages.map(plainRole),
      { role: "assistant", content: task.prefix.text },
    ];
    Object.assign(body, dialect.prefix);
  }
  return { path: "/v1/chat/completions", body, choices };
}

/**
 * Servers fetch what an address names: from the provider's own network, some from its disk. Only
 * images that are in the request itself are passed on.
 */
function assertImagesInside(messages: readonly ChatMessage[]): void {
  for (const { role, content } of messages) {
    if (role !== "user" || typeof content === "string") continue;
    for (const part of content) {
      if (part.type !== "image_url" || /^data:image\//i.test(part.image_url.url)) continue;
      const message = "Cannot fetch an image: send it in the request, as a data:image/… URL";
      throw new EngineError("invalid_request", message);
    }
  }
}

/** Servers take −1 for "a random one", and some hold 32 bits: what is left means itself to all. */
function plainSeed(seed: number): number {
  return Math.abs(seed) % 2 ** 31;
}

/** `developer` is OpenAI's newer name of `system`, which templates do not know. */
function plainRole(message: ChatMessage): ChatMessage {
  return message.role === "developer" ? { ...message, role: "system" } : message;
}

function chooseTools(
  task: Extract<GenerateTask, { kind: "chat" }>,
  body: Record<string, unknown>,
  dialect: Dialect,
): void {
  const choice = task.request.tool_choice ?? "auto";
  if (dialect.hasToolChoice || choice === "auto") return;
  // Without the field, "none" is said by giving no tools; a call cannot be forced.
  if (choice !== "none") throw cannot("force a tool call");
  delete body["tools"];
  delete body["tool_choice"];
  delete body["parallel_tool_calls"];
}
