import { AssertionError } from "../../shared/assert.ts";
import { canonicalJson, type JsonValue } from "../../shared/crypto/jcs.ts";
import { OctoError } from "../../shared/errors.ts";
import type { ChatRequest } from "../../shared/openai/chat-request.ts";
import type { CompletionRequest } from "../../shared/openai/completion-request.ts";
import { type Demands, withoutEffect } from "../../shared/openai/demands.ts";

/** A validated request of either API. */
export type InferenceRequest =
  | { readonly kind: "chat"; readonly request: ChatRequest; readonly demands: Demands }
  | { readonly kind: "completion"; readonly request: CompletionRequest; readonly demands: Demands };

/** OpenAI's older API makes 16 tokens unless told otherwise. */
export const completionTokensDefault = 16;

/**
 * How an answer travels is between the consumer and the edge; who the consumer's users are is
 * nobody else's matter.
 */
const keptFromEngines = new Set(["stream", "stream_options", ...withoutEffect]);

/**
 * A request as its engine gets it, in canonical JSON (RFC 8785): without what only concerns the
 * edge, and with OpenAI's defaults where they are not an engine's own. Its SHA-256 is the receipt's
 * `prompt_hash`, which whoever sent the request can recompute.
 */
export function engineBody(wanted: InferenceRequest): string {
  const request: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(wanted.request)) {
    if (!keptFromEngines.has(field) && value !== null) request[field] = value;
  }
  if (wanted.kind === "completion") request["max_tokens"] ??= completionTokensDefault;
  try {
    return canonicalJson(request as JsonValue);
  } catch (error) {
    if (!(error instanceof AssertionError)) throw error;
    throw new OctoError("invalid_request", "The body holds half a character (a lone surrogate)", {
      cause: error,
    });
  }
}
