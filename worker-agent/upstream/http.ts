import type { IncomingMessage } from "node:http";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { retryAfterMsOf } from "./retry-after.ts";
import type { Secret } from "./secret.ts";

/** How a server failed below its own words. */
export type TransportFailure = "unreachable" | "late" | "stalled" | "broken" | "too_large";

/** No answer, or half of one: the message is a phrase that follows "the server at URL". */
export class TransportError extends Error {
  override readonly name = "TransportError";
  readonly kind: TransportFailure;

  constructor(kind: TransportFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

export interface Server {
  /** Without a slash at its end and without `/v1`. */
  readonly url: string;
  /** Sent as a bearer token. */
  readonly key: Secret | null;
}

export interface RequestOptions {
  /** JSON is sent as such; bytes go with the `contentType` given. */
  readonly body?: unknown;
  readonly bytes?: { readonly contentType: string; readonly content: Buffer };
  readonly signal: AbortSignal;
  /** From the request to the first byte of the answer's head. */
  readonly firstByteMs: number;
  /** Between two pieces of the answer. */
  readonly stallMs: number;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  /** What its `retry-after` asks for, in milliseconds; null without one. */
  readonly retryAfterMs: number | null;
  /** Pieces as they come. Leaving the loop, and an abort, close the connection at once. */
  readonly pieces: AsyncIterable<Buffer>;
  /**
   * Nothing more is wanted, but the server may end by itself: to some, a connection that closes
   * before their last byte is a task to abandon.
   */
  letEnd(): void;
}

/** Embeddings of a full batch are tens of megabytes as text; more is no answer to our requests. */
const documentBytesMax = 128 * 1024 * 1024;

/**
 * Asks the server for `path`. Redirects are given back like any answer and never followed: they
 * could lead off this machine. Every request has a connection of its own, so that one which the
 * server closed in the meantime is never used again, and an abort reaches the server as a close.
 * Throws TransportError, or the signal's reason.
 */
export async function ask(server: Server, path: string, options: RequestOptions): Promise<Answer> {
  const { signal, firstByteMs, stallMs } = options;
  signal.throwIfAborted();
  const url = new URL(server.url + path);
  const send = url.protocol === "https:" ? requestHttps : requestHttp;
  const content = contentOf(options);
  const headers: Record<string, string | number> = { accept: "*/*", "user-agent": "octo-worker" };
  if (server.key !== null) headers["authorization"] = `Bearer ${server.key.reveal()}`;
  if (content !== null) {
    headers["content-type"] = content.contentType;
    headers["content-length"] = content.content.length;
  }
  const method = content === null ? "GET" : "POST";
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = send(url, { method, headers, agent: false, signal });
    const late = setTimeout(() => {
      outgoing.destroy(new TransportError("late", `has not answered within ${firstByteMs} ms`));
    }, firstByteMs);
    outgoing.once("response", (incoming) => {
      clearTimeout(late);
      resolve(incoming);
    });
    // Not once: a connection that breaks after the answer's head says so here as well.
    outgoing.on("error", (error) => {
      clearTimeout(late);
      reject(failureOf(error, signal));
    });
    outgoing.end(content?.content);
  });
  const leave = { isPolite: false };
  return {
    status: response.statusCode ?? 0,
    contentType: response.headers["content-type"] ?? "",
    retryAfterMs: retryAfterMsOf(response.headers["retry-after"] ?? null, Date.now()),
    pieces: readPieces(response, leave, { stallMs, signal }),
    letEnd() {
      leave.isPolite = true;
    },
  };
}

function contentOf(
  options: RequestOptions,
): { readonly contentType: string; readonly content: Buffer } | null {
  if (options.bytes !== undefined) return options.bytes;
  if (options.body === undefined) return null;
  const content = Buffer.from(JSON.stringify(options.body));
  return { contentType: "application/json", content };
}

async function* readPieces(
  response: IncomingMessage,
  leave: { readonly isPolite: boolean },
  { stallMs, signal }: Pick<RequestOptions, "stallMs" | "signal">,
): AsyncGenerator<Buffer, void, void> {
  const stalled = new TransportError("stalled", `has said nothing more for ${stallMs} ms`);
  let isWaiting = true;
  const timer = setTimeout(() => {
    // A reader's own pause, however long, is not the server's.
    if (isWaiting) response.destroy(stalled);
    else timer.refresh();
  }, stallMs);
  try {
    for await (const piece of response.iterator({ destroyOnReturn: false })) {
      isWaiting = false;
      yield piece as Buffer;
      isWaiting = true;
      timer.refresh();
    }
  } catch (error) {
    throw failureOf(error, signal);
  } finally {
    clearTimeout(timer);
    if (leave.isPolite && !response.destroyed) lingerOn(response);
    else response.destroy();
  }
}

/** A server that has said everything ends within a moment. */
const lingerMs = 2_000;

function lingerOn(response: IncomingMessage): void {
  const timer = setTimeout(() => response.destroy(), lingerMs);
  // The answer is whole: what becomes of its connection is nobody's matter, nor the process's.
  timer.unref();
  response.once("close", () => clearTimeout(timer));
  response.on("error", () => clearTimeout(timer));
  response.resume();
}

/** What the transport's error means. */
function failureOf(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof TransportError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const options = { cause: error };
  if (code === "ECONNREFUSED") {
    return new TransportError("unreachable", "refuses the connection", options);
  }
  if (/^(ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/.test(code)) {
    return new TransportError("unreachable", `cannot be reached (${code})`, options);
  }
  const reason = code === "" ? "broke the connection" : `broke the connection (${code})`;
  return new TransportError("broken", reason, options);
}

/** The whole answer as text. Throws like `ask`, and where it is larger than any we ask for. */
export async function readText(answer: Answer, bytesMax = documentBytesMax): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of answer.pieces) {
    bytes += piece.length;
    if (bytes > bytesMax) {
      throw new TransportError("too_large", `answers with more than ${bytesMax} bytes`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
