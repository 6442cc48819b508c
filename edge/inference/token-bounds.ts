import { OctoError } from "../../shared/errors.ts";
import { utf8Length } from "../../shared/protocol/receipt.ts";
import type { HubChoice } from "./placing/choose-hub.ts";
import {
  completionTokensDefault,
  type GenerationRequest,
  type InferenceRequest,
  isGeneration,
} from "./engine-request.ts";
import { resultBounds } from "./results/result-bounds.ts";

/** The most tokens one task can use. */
export interface TokenBounds {
  readonly promptTokensMax: number;
  /** Null where only the model's context bounds the answer. */
  readonly completionTokensMax: number | null;
}

/**
 * Tokens a chat template may add around one message, generously: role tags, separators, a default
 * system prompt.
 */
const tokensPerMessage = 64;

/**
 * The most tokens a request can use: bytes and the context bound the prompt; what was asked for, if
 * anything was, bounds the answer.
 */
export function boundsOf(
  wanted: InferenceRequest,
  body: string,
  choice: Pick<HubChoice, "contextTokens">,
): TokenBounds {
  if (!isGeneration(wanted)) return resultBounds(wanted, choice.contextTokens);
  const { request } = wanted;
  const messages = wanted.kind === "chat" ? wanted.request.messages.length : 1;
  const promptTokensMax = Math.min(
    utf8Length(body) + (messages + 1) * tokensPerMessage,
    choice.contextTokens,
  );
  const asked = askedTokens(wanted);
  if (asked === null) return { promptTokensMax, completionTokensMax: null };
  if (asked > choice.contextTokens) {
    throw new OctoError(
      "context_length_exceeded",
      `Cannot make ${asked} tokens: ${request.model} has a context of ${choice.contextTokens}`,
      { param: wanted.kind === "chat" ? "max_completion_tokens" : "max_tokens" },
    );
  }
  return { promptTokensMax, completionTokensMax: asked * (request.n ?? 1) };
}

function askedTokens(wanted: GenerationRequest): number | null {
  if (wanted.kind === "chat") {
    return wanted.request.max_completion_tokens ?? wanted.request.max_tokens ?? null;
  }
  return wanted.request.max_tokens ?? completionTokensDefault;
}
