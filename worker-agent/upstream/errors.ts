import type { EngineErrorCode } from "../engine/engine.ts";
import { EngineError } from "../engine/engine.ts";
import { SseError } from "../../shared/sse.ts";
import { TransportError } from "./http.ts";
import type { Secret } from "./secret.ts";

/**
 * What servers say of a prompt that does not fit: vLLM and LocalAI ("maximum context length"),
 * SGLang ("is longer than the model's context length"), llama-server ("exceeds the available
 * context size", "exceed_context_size_error"), Ollama ("exceeds maximum context length"), LM Studio
 * ("greater than the context length"), TensorRT-LLM ("exceeds max_input_len", "max_seq_len").
 */
const contextPattern = new RegExp(
  [
    "context (length|size|window)",
    "max_(input|seq|model)_len",
    "prompt (is )?too long",
    "maximum (input|prompt|sequence) length",
  ].join("|"),
  "i",
);
/** The same by the type or code some of them give beside the sentence. */
const contextCodePattern = /"(?:type|code)"\s*:\s*"(?:exceed_context_size|context_length)/;
const memoryPattern = /out of memory|requires more system memory|failed to allocate/i;

/** Room for one sentence; the hub takes 500 characters in all. */
const sentenceCharsMax = 240;

/**
 * The EngineError for an answer with the status of a failure. A request's own fault is final for
 * its consumer, so only what a server refuses by 400, 413 or 422 counts as one. A wrong key (401),
 * a missing model (404) and a busy or broken server are this worker's matter, and another worker
 * may do better.
 */
export function refusalError(
  status: number,
  body: string,
  key: Secret | null,
  retryAfterMs: number | null = null,
): EngineError {
  const sentence = publicSentence(sentenceOf(body), key);
  const isOwnFault = status === 400 || status === 413 || status === 422;
  const code = codeOf(isOwnFault, sentence, body);
  if (code === "engine_failed") {
    const message = `Cannot answer: the model's server answered ${status}`;
    const isAbsent = status === 404 || status === 405 || status === 501;
    if (isAbsent) return new AbsentError(code, message);
    return new EngineError(code, message, { retryAfterMs });
  }
  const reason = sentence === "" ? `the model's server answered ${status}` : sentence;
  return new EngineError(code, `Cannot answer: ${reason}`);
}

/** The server has no such endpoint: unlike other failures, it would say the same again. */
export class AbsentError extends EngineError {}

function codeOf(isOwnFault: boolean, sentence: string, body: string): EngineErrorCode {
  if (contextPattern.test(sentence) || contextCodePattern.test(body)) {
    return "context_length_exceeded";
  }
  if (memoryPattern.test(sentence)) return "out_of_memory";
  return isOwnFault ? "invalid_request" : "engine_failed";
}

/** The EngineError for an error event in the middle of a stream, whose payload this is. */
export function eventError(payload: unknown, key: Secret | null): EngineError {
  const status = statusIn(payload);
  return refusalError(status, JSON.stringify({ error: payload }), key);
}

function statusIn(payload: unknown): number {
  if (typeof payload !== "object" || payload === null || !("code" in payload)) return 500;
  const status = Number(payload.code);
  return Number.isInteger(status) && status >= 400 && status < 600 ? status : 500;
}

/** Any failure of asking a server, as the EngineError of the task. An abort is not one. */
export function asEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  if (error instanceof TransportError) {
    return failedError(`the model's server ${error.message}`, error);
  }
  if (error instanceof SseError)
    return failedError(`of the model's answer: ${error.message}`, error);
  throw error;
}

/** A server that breaks its own protocol. */
export function failedError(reason: string, cause?: unknown): EngineError {
  const options = cause === undefined ? undefined : { cause };
  return new EngineError("engine_failed", `Cannot answer: ${reason}`, options);
}

/** The sentence in an error's body: OpenAI's and FastAPI's shapes, Ollama's, or plain text. */
function sentenceOf(body: string): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    // Proxies answer with pages, which say nothing to a consumer.
    return body.trimStart().startsWith("<") ? "" : body;
  }
  for (let depth = 0; depth < 4; depth++) {
    if (typeof value === "string") return value;
    if (Array.isArray(value)) value = value[0] as unknown;
    if (typeof value !== "object" || value === null) return "";
    const { error, message, detail, msg } = value as Record<string, unknown>;
    value = error ?? message ?? detail ?? msg;
  }
  return "";
}

/** One line that may leave the machine: at most a sentence, no key, no address and no path. */
export function publicSentence(text: string, key: Secret | null): string {
  let line = text.slice(0, 4_000).replaceAll(/\s+/g, " ").trim();
  if (key !== null) line = line.replaceAll(key.reveal(), "…");
  line = line
    .replaceAll(/\b(?:sk|hf|octo)[-_][\w-]{8,}/g, "…")
    .replaceAll(/\bBearer\s+\S+/gi, "…")
    .replaceAll(/\bhttps?:\/\/\S+/gi, "…")
    .replaceAll(/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b/g, "…")
    .replaceAll(/(?<![\w.])(?:~|[A-Za-z]:)?(?:[\\/][\w.@+-]+){2,}[\\/]?/g, "…");
  if (line.length <= sentenceCharsMax) return line;
  return `${line.slice(0, sentenceCharsMax - 1).trimEnd()}…`;
}
