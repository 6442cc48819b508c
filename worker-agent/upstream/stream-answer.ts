import type { EngineEvent } from "../engine/engine.ts";
import type { AnswerOptions } from "./answer-parts.ts";
import { AnswerParts } from "./answer-parts.ts";
import { ChunkError, readChunk } from "./chunks.ts";
import { eventError, failedError, asEngineError, refusalError } from "./errors.ts";
import type { Answer, Server } from "./http.ts";
import { ask, readText, TransportError } from "./http.ts";
import type { UpstreamRequest } from "./requests.ts";
import type { SseEvent } from "../../shared/sse.ts";
import { SseError, SseReader } from "../../shared/sse.ts";

/** A server that loads a model of tens of gigabytes first; the hub's own deadline comes sooner. */
const firstByteMs = 300_000;
/** Between two tokens of the slowest machine that anybody would use. */
const stallMs = 60_000;
/** An error is a sentence; a server may send a page. */
const errorBytesMax = 64 * 1024;

export interface StreamOptions extends AnswerOptions {
  /** The prompt's tokens where the server does not tell them; called at the end. */
  readonly promptTokens: () => number;
}

/**
 * Runs one generation on a server. An abort closes the connection at once, which cancels it there,
 * and yields an `end` that counts what was made. An answer that ends without its endings is
 * `engine_failed`, never a short success. Throws EngineError.
 */
export async function* streamAnswer(
  server: Server,
  request: UpstreamRequest,
  options: StreamOptions,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent, void, void> {
  const parts = new AnswerParts(options);
  let hasBegun = false;
  try {
    const limits = { signal, firstByteMs, stallMs };
    const answer = await ask(server, request.path, { ...limits, body: request.body });
    await assertStream(answer, server);
    hasBegun = true;
    yield* readEvents(answer, parts, server, signal);
  } catch (error) {
    // After the last ending only the usage may be missing, and that can be done without.
    const isCut = error instanceof TransportError || error instanceof SseError;
    if (!signal.aborted && !(isCut && parts.isFinished)) throw asEngineError(error);
  }
  if (!signal.aborted && !parts.isFinished) {
    throw failedError("the model's server ended in the middle of the answer");
  }
  yield* parts.end(hasBegun ? options.promptTokens() : 0);
}

async function assertStream(answer: Answer, server: Server): Promise<void> {
  const { status, contentType } = answer;
  if (status === 200 && /^text\/event-stream\b/i.test(contentType)) return;
  const text = await readText(answer, errorBytesMax);
  if (status !== 200) throw refusalError(status, text, server.key, answer.retryAfterMs);
  throw failedError(`the model's server sent ${contentType || "nothing known"}, not a stream`);
}

async function* readEvents(
  answer: Answer,
  parts: AnswerParts,
  server: Server,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent, void, void> {
  const reader = new SseReader();
  for await (const piece of answer.pieces) {
    for (const event of reader.push(piece)) {
      if (event.data === "[DONE]") return answer.letEnd();
      yield* partsOf(event, parts, server);
      if (signal.aborted) return;
    }
    // Not every server says [DONE]: nothing that is worth waiting for comes after this.
    if (parts.isFinished && parts.isUsageKnown) return answer.letEnd();
  }
  for (const event of reader.finish()) {
    if (event.data === "[DONE]") return;
    yield* partsOf(event, parts, server);
  }
}

function* partsOf(
  event: SseEvent,
  parts: AnswerParts,
  server: Server,
): Generator<EngineEvent, void, void> {
  const { data } = event;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw failedError("an event of the model's server is not JSON", cause);
  }
  const failure = failureIn(value);
  if (failure !== undefined || event.name === "error") {
    throw eventError(failure ?? value, server.key);
  }
  try {
    for (const part of parts.add(readChunk(value))) yield { kind: "part", part };
  } catch (error) {
    if (!(error instanceof ChunkError)) throw error;
    throw failedError(`the model's server breaks its protocol: ${error.message}`, error);
  }
}

/** What an event says went wrong: every server puts it under `error`. */
function failureIn(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("error" in value)) return undefined;
  return value.error ?? undefined;
}
