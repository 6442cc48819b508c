import type { ChatRequest } from "../../shared/openai/chat-request.ts";
import type { CompletionRequest } from "../../shared/openai/completion-request.ts";
import type { Ability } from "../../shared/openai/demands.ts";
import type { Finish, OutputPart, Usage } from "../../shared/openai/output.ts";

/** One inference for an engine, already validated. */
export type EngineTask =
  | { readonly kind: "chat"; readonly request: ChatRequest }
  | { readonly kind: "completion"; readonly request: CompletionRequest };

/**
 * What a generation yields: parts as tokens come, and exactly one `end` last. The tokens of all
 * parts add up to the completion's; a choice that was aborted has no finish.
 */
export type EngineEvent =
  | { readonly kind: "part"; readonly part: OutputPart }
  | { readonly kind: "end"; readonly finishes: readonly Finish[]; readonly usage: Usage };

/** What a loaded model is and can do: measured or read from its file, never claimed by a user. */
export interface EngineModel {
  /** SHA-256 of the model's file in hexadecimal. */
  readonly digest: string;
  readonly contextTokens: number;
  /** The file's weight format, say `Q8_0`. */
  readonly quantization: string;
  readonly parameterCount: number;
  readonly architecture: string;
  readonly abilities: readonly Ability[];
  /** How many generations run at once without waiting for each other. */
  readonly slots: number;
}

/** One loaded model that generates. */
export interface Engine extends AsyncDisposable {
  readonly kind: "llama.cpp" | "synthetic";
  readonly model: EngineModel;
  /**
   * Runs one task. Aborting `signal` stops it within one token: the iteration then ends with an
   * `end` event that counts what was made. Throws EngineError; a prompt that does not fit is
   * `context_length_exceeded`.
   */
  generate(task: EngineTask, signal: AbortSignal): AsyncIterable<EngineEvent>;
}

export type EngineErrorCode =
  | "context_length_exceeded"
  | "invalid_request"
  | "out_of_memory"
  | "engine_failed";

/**
 * A failure of one task (or of loading a model): the message is one sentence fit for the consumer.
 */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
