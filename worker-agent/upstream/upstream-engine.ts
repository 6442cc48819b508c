import type { JsonValue } from "../../shared/crypto/jcs.ts";
import { canonicalJson } from "../../shared/crypto/jcs.ts";
import { z } from "zod";
import { cannot } from "../engine/cannot.ts";
import type {
  AnswerPrefix,
  Engine,
  EngineEvent,
  EngineHealth,
  EngineModel,
  EngineStats,
  GenerateTask,
  ResultAnswer,
  ResultTask,
} from "../engine/engine.ts";
import { readMark } from "./describe.ts";
import type { UpstreamKind } from "./dialects.ts";
import { dialects } from "./dialects.ts";
import { documentRequest, readDocument } from "./documents.ts";
import { asEngineError, failedError, refusalError } from "./errors.ts";
import type { RequestOptions, Server } from "./http.ts";
import { ask, readText, TransportError } from "./http.ts";
import type { FileMark } from "./model-identity.ts";
import { hasFileChanged } from "./model-identity.ts";
import { askedTokens, upstreamRequest } from "./requests.ts";
import { streamAnswer } from "./stream-answer.ts";
import type { TranscriptionFormat } from "./transcription.ts";
import { readTranscription, transcriptionForm } from "./transcription.ts";

/** A document comes whole, after all of the work: an image of a slow card takes minutes. */
const documentMs = 600_000;
const stallMs = 60_000;
const tokenizeMs = 30_000;
/** Health is to be told within a second. */
const healthMs = 900;

/** OpenAI's rule of thumb for English, for servers without a tokenizer. */
const bytesPerToken = 4;

export interface UpstreamOptions {
  readonly server: Server;
  readonly kind: UpstreamKind;
  /** The model's name on the server. */
  readonly name: string;
  readonly model: EngineModel;
  /** What the server said of the model when it was opened. */
  readonly mark: JsonValue;
  /** The file its digest is of, where it is of one. */
  readonly file: FileMark | null;
  readonly canContinue: boolean;
  readonly transcriptionFormat: TranscriptionFormat;
}

/**
 * A model that another server runs. It holds nothing but connections: every task is one request,
 * passed through as it is, and nothing is tried twice.
 */
export class UpstreamEngine implements Engine {
  readonly kind: UpstreamKind;
  readonly model: EngineModel;
  readonly #options: UpstreamOptions;
  readonly #closing = new AbortController();
  #running = 0;
  /** Why tasks would get another model's answers; null while they would not. */
  #replaced: string | null = null;
  /** The least tokens that a byte of a request has made: counts prompts that are not told. */
  #tokensPerByte = 0;

  constructor(options: UpstreamOptions) {
    this.kind = options.kind;
    this.model = options.model;
    this.#options = options;
  }

  async *generate(task: GenerateTask, signal: AbortSignal): AsyncGenerator<EngineEvent> {
    this.#assertServes();
    const { server, name, canContinue } = this.#options;
    if (task.prefix !== undefined && !canContinue) throw cannot("continue an answer");
    const dialect = dialects[this.kind];
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const begun = task.prefix === undefined ? 0 : await this.#countPrefix(task.prefix, either);
    const asked = askedTokens(task);
    if (begun === null || (asked !== null && asked <= begun)) {
      // Nobody waits, or the beginning has all the tokens asked for.
      const finishes = begun === null ? [] : [{ index: 0, reason: "length" as const }];
      yield { kind: "end", finishes, usage: { prompt: 0, completion: 0, cached: 0 } };
      return;
    }
    const request = upstreamRequest(task, name, dialect, begun);
    const bytes = JSON.stringify(request.body).length;
    const options = {
      choices: request.choices,
      hasRunningUsage: "continuous_usage_stats" in dialect.streamOptions,
      promptTokens: () => Math.floor(bytes * this.#tokensPerByte),
    };
    this.#running += 1;
    try {
      for await (const event of streamAnswer(server, request, options, either)) {
        if (event.kind === "end") this.#learn(event.usage.prompt / bytes);
        yield begun === 0 ? event : withoutBeginning(event, begun);
      }
    } finally {
      this.#running -= 1;
    }
  }

  async perform(task: ResultTask, signal: AbortSignal): Promise<ResultAnswer> {
    this.#assertServes();
    const { name, transcriptionFormat } = this.#options;
    this.#running += 1;
    try {
      if (task.kind === "transcription") {
        const bytes = transcriptionForm(task.request, name, transcriptionFormat);
        const value = await this.#post("/v1/audio/transcriptions", { bytes }, signal);
        return readTranscription(value);
      }
      const { path, body } = documentRequest(task, name);
      return readDocument(task, await this.#post(path, { body }, signal), this.#scoresInLogits());
    } finally {
      this.#running -= 1;
    }
  }

  /** llama.cpp gives rerankers of Qwen3 their probability of a yes itself. */
  #scoresInLogits(): boolean {
    const isFinished = this.model.architecture.startsWith("qwen3");
    return dialects[this.kind].rerankScores === "logits" && !isFinished;
  }

  async tokenize(text: string, signal: AbortSignal): Promise<readonly number[]> {
    const { tokenizer } = dialects[this.kind];
    if (tokenizer === null) throw cannot("tell the tokens of a text");
    const body =
      tokenizer === "content"
        ? { content: text, add_special: false }
        : { model: this.#options.name, prompt: text, add_special_tokens: false };
    const value = await this.#post("/tokenize", { body }, signal, tokenizeMs);
    const parsed = tokensSchema.safeParse(value);
    if (!parsed.success) throw failedError("the model's server gave what are no tokens");
    return parsed.data.tokens;
  }

  async health(signal: AbortSignal): Promise<EngineHealth> {
    const { server, name, mark, file } = this.#options;
    const { title } = dialects[this.kind];
    const failing = (reason: string): EngineHealth => {
      return { kind: "failing", reason: `${title} at ${server.url} ${reason}` };
    };
    try {
      const limits = { signal, timeoutMs: healthMs };
      const now = await readMark(server, this.kind, name, limits);
      this.#replaced = null;
      if (now === null) return failing(`no longer has ${name}`);
      const isOther = canonicalJson(now) !== canonicalJson(mark);
      if (!isOther && (file === null || !(await hasFileChanged(file)))) return { kind: "ready" };
      this.#replaced = `has another model behind ${name} now; start octo-worker again to list it`;
      return failing(this.#replaced);
    } catch (error) {
      if (error instanceof TransportError) return failing(error.message);
      if (signal.aborted) return failing("was not waited for");
      throw error;
    }
  }

  stats(): EngineStats {
    return { running: this.#running, waiting: 0, memoryBytes: null };
  }

  /** Closes every connection: what runs ends as if it had been aborted. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("the engine is closed"));
    return Promise.resolve();
  }

  #assertServes(): void {
    if (this.#replaced !== null) throw failedError("the model's server has another model now");
    if (this.#closing.signal.aborted) throw failedError("the worker no longer serves this model");
  }

  /** The tokens of an answer's beginning: roughly where nobody can tell. Null when aborted. */
  async #countPrefix(
    { text, tokenIds }: AnswerPrefix,
    signal: AbortSignal,
  ): Promise<number | null> {
    if (tokenIds !== null) return tokenIds.length;
    if (dialects[this.kind].tokenizer === null) {
      return Math.ceil(Buffer.byteLength(text) / bytesPerToken);
    }
    try {
      return (await this.tokenize(text, signal)).length;
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
  }

  #learn(tokensPerByte: number): void {
    if (tokensPerByte <= 0 || !Number.isFinite(tokensPerByte)) return;
    const least = this.#tokensPerByte;
    this.#tokensPerByte = least === 0 ? tokensPerByte : Math.min(least, tokensPerByte);
  }

  async #post(
    path: string,
    content: Pick<RequestOptions, "body" | "bytes">,
    signal: AbortSignal,
    firstByteMs: number = documentMs,
  ): Promise<unknown> {
    const { server } = this.#options;
    const either = AbortSignal.any([signal, this.#closing.signal]);
    try {
      const limits = { signal: either, firstByteMs, stallMs };
      const answer = await ask(server, path, { ...content, ...limits });
      const text = await readText(answer);
      if (answer.status !== 200) {
        throw refusalError(answer.status, text, server.key, answer.retryAfterMs);
      }
      return parseDocument(text);
    } catch (error) {
      signal.throwIfAborted();
      if (this.#closing.signal.aborted) throw failedError("the worker stops", error);
      throw asEngineError(error);
    }
  }
}

/** The end of a continuation: to its server the beginning was a part of the prompt. */
function withoutBeginning(event: EngineEvent, begun: number): EngineEvent {
  if (event.kind !== "end") return event;
  const { usage } = event;
  return { ...event, usage: { ...usage, prompt: Math.max(1, usage.prompt - begun) } };
}

const tokensSchema = z.object({ tokens: z.array(z.int().min(0)) });

function parseDocument(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw failedError("the answer of the model's server is not JSON", cause);
  }
}
