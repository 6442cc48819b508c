import { AssertionError } from "../../shared/assert.ts";
import { canonicalJson, type JsonValue } from "../../shared/crypto/jcs.ts";
import { OctoError } from "../../shared/errors.ts";
import type { ChatRequest } from "../../shared/openai/chat-request.ts";
import type { ClassificationRequest } from "../../shared/openai/classification-request.ts";
import type { CompletionRequest } from "../../shared/openai/completion-request.ts";
import { type Demands, withoutEffect } from "../../shared/openai/demands.ts";
import type { EmbeddingRequest } from "../../shared/openai/embedding-request.ts";
import { type ImageRequest, imageSizeDefault } from "../../shared/openai/image-request.ts";
import type { RerankRequest } from "../../shared/openai/rerank-request.ts";
import { isGenerated, type TaskKind } from "../../shared/openai/task-kinds.ts";
import type { TranscriptionRequest } from "../../shared/openai/transcription-request.ts";

/** A validated request whose answer is a text. */
export type GenerationRequest =
  | { readonly kind: "chat"; readonly request: ChatRequest; readonly demands: Demands }
  | { readonly kind: "completion"; readonly request: CompletionRequest; readonly demands: Demands };

/** A validated request whose answer is one document. */
export type ResultRequest = { readonly demands: Demands } & (
  | { readonly kind: "embedding"; readonly request: EmbeddingRequest }
  | { readonly kind: "rerank"; readonly request: RerankRequest }
  | { readonly kind: "classification"; readonly request: ClassificationRequest }
  | { readonly kind: "transcription"; readonly request: TranscriptionRequest }
  | { readonly kind: "image"; readonly request: ImageRequest }
);

/** A validated request of any kind. */
export type InferenceRequest = GenerationRequest | ResultRequest;

/** Whether the answer is a text that grows, as a type guard. */
export function isGeneration(wanted: InferenceRequest): wanted is GenerationRequest {
  return isGenerated(wanted.kind);
}

/** OpenAI's older API makes 16 tokens unless told otherwise. */
export const completionTokensDefault = 16;

/**
 * How an answer travels is between the consumer and the edge; who the consumer's users are is
 * nobody else's matter.
 */
const keptFromEngines = new Set(["stream", "stream_options", "octo", ...withoutEffect]);

/** What only shapes the answer, which is the edge's part. */
const shapesOfAnswers: Partial<Record<TaskKind, ReadonlySet<string>>> = {
  embedding: new Set(["encoding_format"]),
  rerank: new Set(["top_n", "return_documents"]),
  transcription: new Set(["response_format"]),
  image: new Set(["response_format"]),
};

/**
 * A request as its engine gets it, in canonical JSON (RFC 8785): without what only concerns the
 * edge, and with OpenAI's defaults where they are not an engine's own. Its SHA-256 is the receipt's
 * `prompt_hash`, which whoever sent the request can recompute.
 */
export function engineBody(wanted: InferenceRequest): string {
  const request: Record<string, unknown> = {};
  const shape = shapesOfAnswers[wanted.kind];
  for (const [field, value] of Object.entries(wanted.request)) {
    if (keptFromEngines.has(field) || shape?.has(field) === true || value === null) continue;
    request[field] = value;
  }
  if (wanted.kind === "completion") request["max_tokens"] ??= completionTokensDefault;
  if (wanted.kind === "image") request["size"] ??= imageSizeDefault;
  try {
    return canonicalJson(request as JsonValue);
  } catch (error) {
    if (!(error instanceof AssertionError)) throw error;
    throw new OctoError("invalid_request", "The body holds half a character (a lone surrogate)", {
      cause: error,
    });
  }
}
