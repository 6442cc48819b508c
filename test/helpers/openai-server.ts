import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Socket } from "node:net";
import { setImmediate, setTimeout } from "node:timers/promises";
import { chatRequestSchema } from "../../shared/openai/chat-request.ts";
import { completionRequestSchema } from "../../shared/openai/completion-request.ts";
import type { OutputPart } from "../../shared/openai/output.ts";
import type { Engine, EngineEvent, GenerateTask } from "../../worker-agent/engine/engine.ts";
import { EngineError } from "../../worker-agent/engine/engine.ts";
import type { GgufFile } from "../../worker-agent/models/gguf.ts";

type Fields = Record<string, unknown>;

/**
 * An OpenAI-compatible server around a loaded engine, in the dialect of llama-server: what a
 * provider may have running beside a worker. It can be killed and come back on its port.
 */
export class OpenAiServer implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #file: GgufFile;
  readonly #name: string;
  readonly #sockets = new Set<Socket>();
  #server: ReturnType<typeof createServer> | null = null;
  #port = 0;
  /** Chunks after which answers wait; they go on when it is raised. */
  pauseAfter = Number.POSITIVE_INFINITY;
  /** Between two chunks, as on a slow machine. */
  paceMs = 0;
  /** Answers that wait, and requests whose connection was closed before their end. */
  paused = 0;
  abandoned = 0;

  constructor(name: string, engine: Engine, file: GgufFile) {
    this.#name = name;
    this.#engine = engine;
    this.#file = file;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      void this.#answer(request, response);
    });
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => {
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Every connection breaks, and nothing listens any more. */
  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    for (const socket of this.#sockets) socket.destroy();
    if (server !== null) await new Promise((resolve) => server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const text = Buffer.concat(pieces).toString();
    const body = text === "" ? {} : (JSON.parse(text) as Fields);
    switch (request.url) {
      case "/props":
        return sendJson(response, 200, this.#props());
      case "/v1/models":
        return sendJson(response, 200, this.#models());
      case "/tokenize": {
        const { signal } = new AbortController();
        const tokens = await this.#engine.tokenize(String(body["content"]), signal);
        return sendJson(response, 200, { tokens });
      }
      case "/v1/chat/completions":
      case "/v1/completions":
        return this.#generate(request.url === "/v1/completions", body, response);
      default:
        return sendJson(response, 404, failure(404, "File Not Found"));
    }
  }

  async #generate(isPlain: boolean, body: Fields, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) this.abandoned += 1;
      gone.abort();
    });
    let sent = 0;
    const made: number[] = [];
    const write = (fields: object) => {
      if (sent === 0) response.writeHead(200, { "content-type": "text/event-stream" });
      sent += 1;
      response.write(`data: ${JSON.stringify({ object: "chunk", ...fields })}\n\n`);
    };
    try {
      const task = await this.#task(isPlain, body, gone.signal);
      for await (const event of this.#engine.generate(task, gone.signal)) {
        for (const chunk of chunksOf(event, isPlain, made)) write(chunk);
        await this.#pause(sent, gone.signal);
      }
      response.end("data: [DONE]\n\n");
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const status = error.code === "engine_failed" ? 500 : 400;
      const isTooLong = error.code === "context_length_exceeded";
      const type = isTooLong ? "exceed_context_size_error" : "invalid_request_error";
      if (sent === 0) return sendJson(response, status, failure(status, error.message, type));
      write(failure(status, error.message, type));
      response.end();
    }
  }

  async #pause(sent: number, gone: AbortSignal): Promise<void> {
    if (this.paceMs > 0) await setTimeout(this.paceMs);
    if (sent < this.pauseAfter || gone.aborted) return;
    this.paused += 1;
    while (sent >= this.pauseAfter && !gone.aborted) await setImmediate();
    this.paused -= 1;
  }

  async #task(isPlain: boolean, body: Fields, signal: AbortSignal): Promise<GenerateTask> {
    if (isPlain) return { kind: "completion", request: completionRequestSchema.parse(body) };
    const request = chatRequestSchema.parse(body);
    const last = request.messages.at(-1);
    if (last?.role !== "assistant") return { kind: "chat", request };
    if (!this.#engine.model.abilities.includes("forced_prefix")) {
      throw new EngineError("invalid_request", "Cannot continue an assistant's message");
    }
    const messages = request.messages.slice(0, -1);
    const prefix = { text: String(last.content), tokenIds: null };
    // A server's limit is of what it makes, an engine's of the whole answer.
    const begun = (await this.#engine.tokenize(prefix.text, signal)).length;
    const { max_tokens: most } = request;
    const limit = typeof most === "number" ? { max_tokens: most + begun } : {};
    return { kind: "chat", request: { ...request, ...limit, messages }, prefix };
  }

  #props(): Fields {
    return {
      default_generation_settings: { n_ctx: this.#engine.model.contextTokens },
      total_slots: this.#engine.model.slots,
      model_path: this.#file.path,
      chat_template: this.#file.chatTemplate,
      build_info: "b9554-d403f00ec",
    };
  }

  #models(): Fields {
    const { contextTokens, parameterCount, weightBytes } = this.#file;
    const meta = { n_ctx_train: contextTokens, n_params: parameterCount, size: weightBytes };
    return { object: "list", data: [{ id: this.#name, owned_by: "llamacpp", meta }] };
  }
}

function failure(code: number, message: string, type = "not_found_error"): Fields {
  return { error: { code, message, type } };
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

/** An engine's event as llama-server writes it; `made` is each choice's tokens so far. */
function chunksOf(event: EngineEvent, isPlain: boolean, made: number[]): object[] {
  if (event.kind === "part") {
    const { index, tokens } = event.part;
    made[index] = (made[index] ?? 0) + tokens;
    return [chunkOf(event.part, isPlain, made[index])];
  }
  const ends = event.finishes.map(({ index, reason }) => ({
    choices: [{ index, finish_reason: reason, ...(isPlain ? { text: "" } : { delta: {} }) }],
  }));
  const { prompt, completion, cached } = event.usage;
  const prompt_tokens_details = { cached_tokens: cached };
  const usage = { prompt_tokens: prompt, completion_tokens: completion, prompt_tokens_details };
  return [...ends, { choices: [], usage }];
}

function chunkOf(part: OutputPart, isPlain: boolean, made: number): object {
  const { index, text, reasoning, tool_calls: calls, logprobs } = part;
  const tool_calls = calls?.map(({ index, id, name, arguments: given }) => ({
    index,
    ...(id === undefined ? {} : { id, type: "function" }),
    function: { ...(name === undefined ? {} : { name }), arguments: given ?? "" },
  }));
  const delta = { content: text, reasoning_content: reasoning, tool_calls };
  const own = isPlain ? { text: text ?? "" } : { delta };
  const told = logprobs === undefined ? null : { content: logprobs };
  const choice = { index, ...own, logprobs: told, finish_reason: null };
  return { choices: [choice], timings: { predicted_n: made, prompt_n: 0, cache_n: 0 } };
}
