import type { ChatRequest } from "../../shared/openai/chat-request.ts";
import type { ClassificationRequest } from "../../shared/openai/classification-request.ts";
import type { CompletionRequest } from "../../shared/openai/completion-request.ts";
import type { Ability } from "../../shared/openai/demands.ts";
import type { EmbeddingRequest } from "../../shared/openai/embedding-request.ts";
import type { ImageRequest } from "../../shared/openai/image-request.ts";
import type { Finish, OutputPart, Usage } from "../../shared/openai/output.ts";
import type { RerankRequest } from "../../shared/openai/rerank-request.ts";
import type { TaskResult } from "../../shared/openai/results.ts";
import { isGenerated } from "../../shared/openai/task-kinds.ts";
import type { TranscriptionRequest } from "../../shared/openai/transcription-request.ts";

/**
 * The beginning of an answer that another worker gave: this engine goes on from its end. The
 * request's limit of tokens is the whole answer's, this beginning included.
 */
export interface AnswerPrefix {
  readonly text: string;
  /** The tokens of `text`, where they are known: exact, which tokenizing a cut text is not. */
  readonly tokenIds: readonly number[] | null;
}

/** A task whose answer is a text that grows token by token, already validated. */
export type GenerateTask =
  | {
      readonly kind: "chat";
      readonly request: ChatRequest;
      /** Engines without the `forced_prefix` ability refuse it. */
      readonly prefix?: AnswerPrefix;
    }
  | {
      readonly kind: "completion";
      readonly request: CompletionRequest;
      readonly prefix?: AnswerPrefix;
    };

/** A task whose answer is one document, already validated. */
export type ResultTask =
  | { readonly kind: "embedding"; readonly request: EmbeddingRequest }
  | { readonly kind: "rerank"; readonly request: RerankRequest }
  | { readonly kind: "classification"; readonly request: ClassificationRequest }
  | { readonly kind: "transcription"; readonly request: TranscriptionRequest }
  | { readonly kind: "image"; readonly request: ImageRequest };

/** One inference for an engine. */
export type EngineTask = GenerateTask | ResultTask;

/** Whether a task's answer grows token by token. */
export function isGenerateTask(task: EngineTask): task is GenerateTask {
  return isGenerated(task.kind);
}

/**
 * What a generation yields: parts as tokens come, and exactly one `end` last. The tokens of all
 * parts add up to the completion's; a choice that was aborted has no finish. A prefix that was
 * given is no part of either.
 */
export type EngineEvent =
  | {
      readonly kind: "part";
      readonly part: OutputPart;
      /** The tokens of this part's text, where the engine knows them. */
      readonly tokenIds?: readonly number[];
    }
  | { readonly kind: "end"; readonly finishes: readonly Finish[]; readonly usage: Usage };

/** A document, in the form `shared/openai/results.ts` gives for the task's kind. */
export interface ResultAnswer {
  readonly result: TaskResult;
  readonly usage: Usage;
}

/** What a loaded model is and can do: measured or read from its file, never claimed by a user. */
export interface EngineModel {
  /** SHA-256 of the model's files, or of what a server says of it: `identity` tells which. */
  readonly digest: string;
  readonly identity: "content" | "declared";
  readonly contextTokens: number;
  /** The weights' format, say `Q8_0`. */
  readonly quantization: string;
  readonly parameterCount: number;
  /** The weights' size on disk; null where the files cannot be read. */
  readonly weightBytes: number | null;
  readonly architecture: string;
  readonly abilities: readonly Ability[];
  /** How many tasks run at once without waiting for each other. */
  readonly slots: number;
}

/** What runs the model, as listings name it. */
export type EngineKind =
  | "llama.cpp"
  | "transformers"
  | "synthetic"
  | "ollama"
  | "vllm"
  | "llama-server"
  | "sglang"
  | "tensorrt-llm"
  | "lm-studio"
  | "localai"
  | "openai-compatible"
  | "diffusion";

export type EngineHealth =
  /** Serves at once. */
  | { readonly kind: "ready" }
  /** Unloaded to free its memory: the next task loads it again. */
  | { readonly kind: "unloaded" }
  /** Tasks would fail now, for this reason: a sentence for the provider. */
  | { readonly kind: "failing"; readonly reason: string };

export interface EngineStats {
  readonly running: number;
  readonly waiting: number;
  /** What the model takes now, with its caches; null where another process holds it. */
  readonly memoryBytes: number | null;
}

/**
 * One model that is ready to serve. Every method that takes tasks throws EngineError with one
 * sentence fit for the consumer; what the engine cannot do is `invalid_request`.
 */
export interface Engine extends AsyncDisposable {
  readonly kind: EngineKind;
  readonly model: EngineModel;
  /**
   * Runs one task. Aborting `signal` stops it within one token: the iteration then ends with an
   * `end` event that counts what was made. A prompt that does not fit is
   * `context_length_exceeded`.
   */
  generate(task: GenerateTask, signal: AbortSignal): AsyncIterable<EngineEvent>;
  /** Runs one task whose answer is a document. An abort rejects with the signal's reason. */
  perform(task: ResultTask, signal: AbortSignal): Promise<ResultAnswer>;
  /** The model's tokens of a text, without a template. */
  tokenize(text: string, signal: AbortSignal): Promise<readonly number[]>;
  /** Whether it could serve now. Never throws and takes at most a second. */
  health(signal: AbortSignal): Promise<EngineHealth>;
  stats(): EngineStats;
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
  /** How long the engine asked to be left alone (an upstream's `retry-after`), where it did. */
  readonly retryAfterMs: number | null;

  constructor(
    code: EngineErrorCode,
    message: string,
    options: ErrorOptions & { readonly retryAfterMs?: number | null } = {},
  ) {
    super(message, options);
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}
