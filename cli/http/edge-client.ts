import { setTimeout as wait } from "node:timers/promises";
import type { z } from "zod";
import { CommandError, Interrupted } from "../failures.ts";
import { programName } from "../version.ts";
import { EdgeError, edgeErrorOf } from "./edge-error.ts";
import { networkFault } from "./network-fault.ts";

/** An answer of the database takes milliseconds; a first token has its own deadline at the edge. */
const answerMs = 60_000;
/** Limits of an edge are by the minute: after one there is room again. */
const patienceMs = 61_000;
/** The largest pages are below a megabyte; a server that never ends must not fill memory. */
const bodyBytesMax = 32 * 1024 * 1024;

export interface EdgeClientOptions {
  readonly url: string;
  /** The key or session to send; null sends none. */
  readonly bearer: () => Promise<string | null>;
  readonly signal: AbortSignal;
}

type Query = Readonly<Record<string, string | number | undefined>>;

export interface OpenOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Nobody was reached, or not to the end. */
export class UnreachableError extends CommandError {
  override readonly name = "UnreachableError" as "CommandError";
}

/** Calls one edge as one caller. */
export class EdgeClient {
  readonly #options: EdgeClientOptions;

  constructor(options: EdgeClientOptions) {
    this.#options = options;
  }

  get url(): string {
    return this.#options.url;
  }

  get<T>(path: string, schema: z.ZodType<T>, query: Query = {}): Promise<T> {
    return this.#call("GET", withQuery(path, query), schema);
  }

  /**
   * As `get`, for long work that one lost connection must not end: three more tries where trying
   * again can help.
   */
  async getPatiently<T>(path: string, schema: z.ZodType<T>, query: Query = {}): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.get(path, schema, query);
      } catch (error) {
        const canHelp =
          error instanceof UnreachableError ||
          (error instanceof EdgeError && (error.status === 429 || error.status >= 500));
        if (!canHelp || tries > 3) throw error;
        const wantedMs = error instanceof EdgeError ? (error.retryAfterMs ?? 0) : 0;
        await this.pause(Math.min(patienceMs, Math.max(500 * 2 ** tries, wantedMs)));
      }
    }
  }

  /** As `get`, for a file of this type. */
  async getText(path: string, type: string, query: Query = {}): Promise<string> {
    const url = withQuery(path, query);
    const late = AbortSignal.timeout(answerMs);
    const signal = AbortSignal.any([this.#options.signal, late]);
    const response = await this.#send("GET", url, { headers: { accept: type } }, signal, late);
    const text = await this.#text(response, signal, late);
    if (response.ok && response.headers.get("content-type")?.startsWith(type) === true) return text;
    throw edgeErrorOf(response, text);
  }

  post<T>(
    path: string,
    schema: z.ZodType<T>,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    return this.#call("POST", path, schema, { body, headers });
  }

  put<T>(path: string, schema: z.ZodType<T>, body: unknown): Promise<T> {
    return this.#call("PUT", path, schema, { body });
  }

  delete<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    return this.#call("DELETE", path, schema);
  }

  /** Waits, unless Ctrl-C comes. */
  async pause(ms: number, signal = this.#options.signal): Promise<void> {
    try {
      await wait(ms, undefined, { signal });
    } catch (error) {
      // An abort is the only way this wait fails.
      throw new Interrupted("interrupted while waiting", { cause: error });
    }
  }

  /**
   * An answer whose body the caller reads. Throws EdgeError where it is no success, and
   * UnreachableError where none came.
   */
  async open(method: string, path: string, options: OpenOptions = {}): Promise<Response> {
    const signal = AbortSignal.any([
      this.#options.signal,
      ...(options.signal === undefined ? [] : [options.signal]),
    ]);
    const response = await this.#send(method, path, options, signal);
    if (response.ok) return response;
    throw edgeErrorOf(response, await this.#text(response, signal));
  }

  /** A failed request or body as what is said of it: by Ctrl-C, or by the network. */
  failure(path: string, error: unknown, signal = this.#options.signal): Error {
    if (signal.aborted || this.#options.signal.aborted) {
      return new Interrupted("interrupted during a request", { cause: error });
    }
    const url = new URL(this.url + path);
    const place = url.origin + url.pathname;
    const message = `Cannot reach ${place}: ${networkFault(url, error)}`;
    return new UnreachableError(message, { cause: error });
  }

  async #call<T>(
    method: string,
    path: string,
    schema: z.ZodType<T>,
    options: OpenOptions = {},
  ): Promise<T> {
    const late = AbortSignal.timeout(answerMs);
    const signal = AbortSignal.any([this.#options.signal, late]);
    const response = await this.#send(method, path, options, signal, late);
    const text = await this.#text(response, signal, late);
    if (!response.ok) throw edgeErrorOf(response, text);
    return parsed(text, schema, `${this.url}${path}`);
  }

  async #send(
    method: string,
    path: string,
    { body, headers = {} }: OpenOptions,
    signal: AbortSignal,
    late: AbortSignal | null = null,
  ): Promise<Response> {
    const bearer = await this.#options.bearer();
    const all = new Headers({ "user-agent": programName, accept: "application/json", ...headers });
    if (bearer !== null) all.set("authorization", `Bearer ${bearer}`);
    if (body !== undefined) all.set("content-type", "application/json");
    try {
      return await fetch(this.url + path, {
        method,
        headers: all,
        signal,
        // Whoever sends a key elsewhere decides so himself.
        redirect: "manual",
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw this.#lateOr(path, error, signal, late);
    }
  }

  async #text(
    response: Response,
    signal: AbortSignal,
    late: AbortSignal | null = null,
  ): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    let bytes = 0;
    try {
      for await (const piece of response.body ?? []) {
        bytes += piece.byteLength;
        if (bytes > bodyBytesMax) {
          throw new CommandError(`${response.url} answers with over ${bodyBytesMax} bytes`);
        }
        text += decoder.decode(piece, { stream: true });
      }
    } catch (error) {
      if (error instanceof CommandError) throw error;
      throw this.#lateOr(new URL(response.url).pathname, error, signal, late);
    }
    return text + decoder.decode();
  }

  /** A timeout aborts as Ctrl-C does, and is something else. */
  #lateOr(path: string, error: unknown, signal: AbortSignal, late: AbortSignal | null): Error {
    if (late?.aborted === true) return this.failure(path, late.reason);
    return this.failure(path, error, signal);
  }
}

function withQuery(path: string, query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return search.size === 0 ? path : `${path}?${search}`;
}

function parsed<T>(text: string, schema: z.ZodType<T>, url: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CommandError(`${url} does not answer with JSON; check the URL`, { cause });
  }
  const answer = schema.safeParse(value);
  if (answer.success) return answer.data;
  const [issue] = answer.error.issues;
  const where = issue?.path.join(".") || "the answer";
  throw new CommandError(
    `${url} does not answer as this octo understands (${where}: ${issue?.message}); update octo`,
  );
}
