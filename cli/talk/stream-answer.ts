import { CommandError, Interrupted } from "../failures.ts";
import { type EdgeClient, UnreachableError } from "../http/edge-client.ts";
import { EdgeError } from "../http/edge-error.ts";
import type { Asking, Message } from "./messages.ts";
import { chatBody } from "./messages.ts";
import { type AnswerChunk, answerChunks, type AnswerUsage, BrokenStream } from "./stream-events.ts";

/*
 * S1. A piece of the answer is given once, in order, whatever breaks: after a break the edge is
 *     asked for what follows the last event that was given whole.
 * S2. An answer that ended is whole. One that was stopped says so, and all else throws.
 */

/** The edge writes a comment every ten seconds: a connection that is silent for four is dead. */
const silentMs = 40_000;
/** Tries without a single new event between them. */
const triesMax = 6;
const firstPauseMs = 250;

export interface Answer {
  readonly kind: "complete" | "stopped";
  readonly text: string;
  readonly reasoning: string;
  readonly finish: string | null;
  readonly usage: AnswerUsage | null;
  readonly taskId: string;
  readonly workerId: string | null;
  readonly firstTokenMs: number | null;
  readonly tookMs: number;
}

export interface Listener {
  readonly text: (part: string) => void;
  readonly reasoning: (part: string) => void;
  /** The connection broke, and is taken up again. */
  readonly resuming: () => void;
}

export interface Question {
  readonly asking: Asking;
  readonly messages: readonly Message[];
  /** Stops the answer. */
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/** Asks, and gives the answer as it comes. Throws EdgeError, UnreachableError and CommandError. */
export async function streamAnswer(
  client: EdgeClient,
  question: Question,
  listener: Listener,
): Promise<Answer> {
  return new AnswerReader(client, question, listener).read();
}

class AnswerReader {
  readonly #client: EdgeClient;
  readonly #question: Question;
  readonly #listener: Listener;
  #text = "";
  #reasoning = "";
  #finish: string | null = null;
  #usage: AnswerUsage | null = null;
  #lastEventId: string | null = null;
  #triesLeft = triesMax;
  #firstTokenAtMs: number | null = null;

  constructor(client: EdgeClient, question: Question, listener: Listener) {
    this.#client = client;
    this.#question = question;
    this.#listener = listener;
  }

  async read(): Promise<Answer> {
    const { asking, messages, signal, nowMs } = this.#question;
    const startedMs = nowMs();
    const path = "/v1/chat/completions";
    let response: Response;
    try {
      const body = chatBody(asking, messages);
      response = await this.#client.open("POST", path, { body, headers: stream, signal });
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      return this.#answer("stopped", { taskId: "", workerId: null, startedMs });
    }
    const { headers } = response;
    const taskId = headers.get("x-octo-task") ?? "";
    this.#lastEventId = headers.get("x-octo-event-id");
    const head = { taskId, workerId: headers.get("x-octo-worker"), startedMs };
    for (;;) {
      try {
        await this.#readFrom(response);
        return this.#answer("complete", head);
      } catch (error) {
        if (signal.aborted) return this.#answer("stopped", head);
        if (!(error instanceof BrokenStream)) throw error;
        this.#listener.resuming();
        const next = await this.#resume(taskId, error);
        if (next === null) return this.#answer("stopped", head);
        response = next;
      }
    }
  }

  async #readFrom({ body }: Response): Promise<void> {
    if (body === null) throw new BrokenStream("the answer has no body");
    using silence = new Silence(body);
    const seen = (eventId: string) => {
      if (eventId !== this.#lastEventId) this.#triesLeft = triesMax;
      this.#lastEventId = eventId;
    };
    for await (const chunk of answerChunks(silence.body, {
      seen,
      alive: () => silence.restart(),
    })) {
      this.#take(chunk);
    }
  }

  #take({ choices: [choice], usage }: AnswerChunk): void {
    const text = choice?.delta?.content ?? "";
    const reasoning = choice?.delta?.reasoning_content ?? "";
    if (text + reasoning !== "") this.#firstTokenAtMs ??= this.#question.nowMs();
    this.#text += text;
    this.#reasoning += reasoning;
    this.#finish = choice?.finish_reason ?? this.#finish;
    this.#usage = usage ?? this.#usage;
    if (reasoning !== "") this.#listener.reasoning(reasoning);
    if (text !== "") this.#listener.text(text);
  }

  /** The rest of the answer, or null where it was stopped meanwhile. */
  async #resume(taskId: string, broken: BrokenStream): Promise<Response | null> {
    const { signal } = this.#question;
    const lastEventId = this.#lastEventId;
    if (taskId === "" || lastEventId === null) throw lost(broken, "the edge does not offer it");
    const headers = { ...stream, "last-event-id": lastEventId };
    const path = `/v1/tasks/${encodeURIComponent(taskId)}/stream`;
    let reason = "";
    while (this.#triesLeft > 0) {
      const pauseMs = firstPauseMs * 2 ** (triesMax - this.#triesLeft);
      this.#triesLeft -= 1;
      try {
        await this.#client.pause(pauseMs, signal);
        return await this.#client.open("GET", path, { headers, signal });
      } catch (error) {
        if (signal.aborted) return null;
        if (!isPassing(error))
          throw error instanceof EdgeError ? lost(broken, error.message) : error;
        reason = error.message;
      }
    }
    throw lost(broken, reason || "the connection breaks again and again");
  }

  #answer(
    kind: Answer["kind"],
    head: Pick<Answer, "taskId" | "workerId"> & { readonly startedMs: number },
  ): Answer {
    const { startedMs, taskId, workerId } = head;
    const firstAtMs = this.#firstTokenAtMs;
    return {
      kind,
      text: this.#text,
      reasoning: this.#reasoning,
      finish: this.#finish,
      usage: this.#usage,
      taskId,
      workerId,
      firstTokenMs: firstAtMs === null ? null : firstAtMs - startedMs,
      tookMs: this.#question.nowMs() - startedMs,
    };
  }
}

/** Whether the next try may go better. */
function isPassing(error: unknown): error is CommandError {
  if (error instanceof EdgeError) return error.status === 429 || error.status >= 500;
  return error instanceof UnreachableError;
}

function lost(broken: BrokenStream, reason: string): CommandError {
  const what = `The answer broke off (${broken.message})`;
  return new CommandError(`${what} and cannot be taken up again: ${reason}`, { cause: broken });
}

const stream = { accept: "text/event-stream" };

/** Ends a body in which nothing has come for too long: no system tells of a cable that is cut. */
class Silence implements Disposable {
  readonly body: ReadableStream<Uint8Array>;
  readonly #silent = new AbortController();
  #timer: NodeJS.Timeout;

  constructor(body: ReadableStream<Uint8Array>) {
    const through = new TransformStream<Uint8Array, Uint8Array>();
    const { signal } = this.#silent;
    // Its failure reaches the reader by the other side.
    body.pipeTo(through.writable, { signal }).catch(() => undefined);
    this.body = through.readable;
    this.#timer = this.#start();
  }

  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#start();
  }

  #start(): NodeJS.Timeout {
    const end = () => this.#silent.abort(new Error(`nothing came for ${silentMs / 1_000} s`));
    return setTimeout(end, silentMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
