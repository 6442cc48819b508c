import type { Ability } from "./abilities.ts";
import type { ChatRequest } from "./chat-request.ts";
import { chatRequestSchema } from "./chat-request.ts";
import type { CompletionRequest } from "./completion-request.ts";
import { completionRequestSchema } from "./completion-request.ts";

export type { Ability };

/** What one request asks of an engine, and which request field asked for each ability. */
export interface Demands {
  readonly fieldByAbility: ReadonlyMap<Ability, string>;
  /** A field that asks for what no worker can do, if there is one. */
  readonly refused: { readonly param: string; readonly reason: string } | null;
}

/** Fields that change nothing in the answer: identification, caching and billing hints. */
export const withoutEffect: ReadonlySet<string> = new Set([
  "user",
  "metadata",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
  "prediction",
]);

/**
 * The values under which a field of OpenAI's asks for nothing; any other value is a demand or a
 * refusal. Maps, because a request may name what plain objects inherit.
 */
const neutralValues = new Map<string, readonly unknown[]>([
  ["store", [false]],
  ["service_tier", ["auto", "default"]],
  ["modalities", [["text"]]],
  ["verbosity", ["medium"]],
  ["reasoning_effort", []],
  ["audio", []],
  ["web_search_options", []],
  ["functions", [[]]],
  ["function_call", []],
]);

const abilityByField = new Map<string, Ability>([
  ["modalities", "audio_output"],
  ["audio", "audio_output"],
  ["verbosity", "verbosity"],
  ["reasoning_effort", "reasoning_effort"],
  ["web_search_options", "web_search"],
]);

const refusalByField = new Map<string, string>([
  ["store", "answers are never stored; leave it out or send false"],
  ["service_tier", "there are no service tiers; leave it out or send auto"],
  ["functions", "it is deprecated; send tools"],
  ["function_call", "it is deprecated; send tool_choice"],
]);

/** What a chat request demands. */
export function chatDemands(request: ChatRequest): Demands {
  const fieldByAbility = samplingDemands(request);
  fieldByAbility.set("chat", "messages");
  if (request.logprobs === true) fieldByAbility.set("logprobs", "logprobs");
  const format = request.response_format?.type;
  if (format === "json_object" || format === "json_schema") {
    fieldByAbility.set(format, "response_format");
  }
  if ((request.tools ?? []).length > 0) fieldByAbility.set("tools", "tools");
  for (const message of request.messages) {
    if (message.role === "tool") fieldByAbility.set("tools", "messages");
    if (message.role !== "user" || typeof message.content === "string") continue;
    for (const part of message.content) {
      if (part.type === "image_url") fieldByAbility.set("vision", "messages");
      if (part.type === "input_audio") fieldByAbility.set("audio_input", "messages");
    }
  }
  const inconsistent = inconsistentChat(request);
  if (inconsistent !== null) return { fieldByAbility, refused: inconsistent };
  return otherFields(request, new Set(Object.keys(chatRequestSchema.shape)), fieldByAbility);
}

/** What a plain completion demands. */
export function completionDemands(request: CompletionRequest): Demands {
  const fieldByAbility = samplingDemands(request);
  fieldByAbility.set("completions", "prompt");
  if (typeof request.logprobs === "number") fieldByAbility.set("logprobs", "logprobs");
  return otherFields(request, new Set(Object.keys(completionRequestSchema.shape)), fieldByAbility);
}

function samplingDemands(request: ChatRequest | CompletionRequest): Map<Ability, string> {
  const fieldByAbility = new Map<Ability, string>();
  if (typeof request.seed === "number") fieldByAbility.set("seed", "seed");
  if ((request.n ?? 1) > 1) fieldByAbility.set("choices", "n");
  for (const field of ["frequency_penalty", "presence_penalty"] as const) {
    if ((request[field] ?? 0) !== 0) fieldByAbility.set("penalties", field);
  }
  if (Object.keys(request.logit_bias ?? {}).length > 0) {
    fieldByAbility.set("logit_bias", "logit_bias");
  }
  return fieldByAbility;
}

/** Pairs of fields that contradict each other; OpenAI refuses the same ones. */
function inconsistentChat(request: ChatRequest): Demands["refused"] {
  const tools = request.tools ?? [];
  if (tools.length === 0 && (request.tool_choice ?? "none") !== "none") {
    return { param: "tool_choice", reason: "it needs tools" };
  }
  if (tools.length === 0 && typeof request.parallel_tool_calls === "boolean") {
    return { param: "parallel_tool_calls", reason: "it needs tools" };
  }
  if (typeof request.top_logprobs === "number" && request.logprobs !== true) {
    return { param: "top_logprobs", reason: "it needs logprobs: true" };
  }
  if (request.stream_options && request.stream !== true) {
    return { param: "stream_options", reason: "it needs stream: true" };
  }
  const chosen = request.tool_choice;
  if (typeof chosen === "object" && chosen !== null) {
    const known = tools.some((tool) => tool.function.name === chosen.function.name);
    if (!known) return { param: "tool_choice", reason: `tools has no ${chosen.function.name}` };
  }
  return null;
}

/**
 * The demands of fields that are in no schema; `neutralOfKind` are values of a kind's own fields
 * that ask for nothing.
 */
export function otherFields(
  request: Readonly<Record<string, unknown>>,
  known: ReadonlySet<string>,
  fieldByAbility: Map<Ability, string>,
  neutralOfKind: ReadonlyMap<string, readonly unknown[]> = new Map(),
): Demands {
  for (const [field, value] of Object.entries(request)) {
    if (known.has(field) || withoutEffect.has(field) || value === null) continue;
    const neutral = neutralOfKind.get(field) ?? neutralValues.get(field);
    if (neutral === undefined) {
      fieldByAbility.set(`param:${field}`, field);
      continue;
    }
    const text = JSON.stringify(value);
    if (neutral.some((candidate) => JSON.stringify(candidate) === text)) continue;
    const ability = neutralOfKind.has(field)
      ? (`param:${field}` as const)
      : abilityByField.get(field);
    if (ability !== undefined) fieldByAbility.set(ability, field);
    const reason = refusalByField.get(field);
    if (reason !== undefined) return { fieldByAbility, refused: { param: field, reason } };
  }
  return { fieldByAbility, refused: null };
}
