import type { ErrorCode } from "../../shared/errors.ts";
import type { OutputPart } from "../../shared/openai/output.ts";
import { answerId, createdSeconds, type AnswerHead } from "../inference/answer-head.ts";
import { doneEvent, errorEvent, keepAliveEvent, StreamEvents } from "../inference/stream-events.ts";
import type { InferenceTask } from "../inference/task.ts";
import type { GatheredAnswer } from "../inference/whole-answer.ts";
import type { TaskRecord } from "../billing/closing.ts";
import { type Attempt, recordOf, type TaskEnding } from "./hub-state.ts";

/** Who answers, known with the first output. */
export interface AnswerSource {
  readonly workerId: string;
  readonly model: string;
  readonly digest: string;
  readonly region: string;
  readonly attempts: number;
  readonly firstTokenMs: number;
}

/** What a hub tells the front Worker of a task. */
export type RunResult =
  | {
      readonly kind: "stream";
      readonly source: AnswerSource;
      readonly stream: ReadableStream<Uint8Array>;
    }
  | { readonly kind: "whole"; readonly source: AnswerSource; readonly answer: GatheredAnswer }
  | {
      readonly kind: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      readonly param: string | null;
      readonly retryAfterS: number | null;
      /** Attempt numbers used so far. */
      readonly attempts: number;
      /** For the books, which the front Worker closes; null where this hub does. */
      readonly record: TaskRecord | null;
    };

/** Proxies and phones drop connections that are silent for 30 s or more; and an idle stream notices no FIN. */
const keepAliveMs = 10_000;
/** What may wait unread in a consumer's stream before the worker's window stays shut. */
const unreadBytesMax = 64 * 1024;

interface Answer {
  readonly task: InferenceTask;
  readonly resolve: (result: RunResult) => void;
  stream: {
    readonly controller: ReadableByteStreamController;
    readonly events: StreamEvents;
    head: AnswerHead;
  } | null;
  sentMs: number;
}

const encoder = new TextEncoder();

/** The consumers' side of a hub: one answer a task, as a stream of events or whole. */
export class Answers {
  readonly #answers = new Map<string, Answer>();
  readonly #onGone: (taskId: string) => void;
  readonly #onRead: (taskId: string) => void;

  constructor(on: {
    readonly gone: (taskId: string) => void;
    readonly read: (taskId: string) => void;
  }) {
    this.#onGone = on.gone;
    this.#onRead = on.read;
  }

  get count(): number {
    return this.#answers.size;
  }

  open(task: InferenceTask, nowMs: number): Promise<RunResult> {
    const { promise, resolve } = Promise.withResolvers<RunResult>();
    this.#answers.set(task.id, { task, resolve, stream: null, sentMs: nowMs });
    return promise;
  }

  /** The first output of a streamed answer is here. */
  start(attempt: Attempt): void {
    const { task } = attempt.entry;
    const answer = this.#answers.get(task.id);
    if (answer === undefined) return;
    const head = headOf(attempt);
    let controller: ReadableByteStreamController | null = null;
    const stream = new ReadableStream(
      {
        type: "bytes",
        start: (given) => {
          controller = given;
        },
        pull: () => this.#onRead(task.id),
        cancel: () => {
          this.#answers.delete(task.id);
          this.#onGone(task.id);
        },
      },
      { highWaterMark: unreadBytesMax },
    );
    if (controller === null) return;
    answer.stream = { controller, events: new StreamEvents(head, task.usageChunk), head };
    answer.resolve({ kind: "stream", source: sourceOf(attempt), stream });
  }

  deliver(taskId: string, parts: readonly OutputPart[], nowMs: number): void {
    const answer = this.#answers.get(taskId);
    if (answer?.stream == null) return;
    this.#send(answer, answer.stream.events.parts(parts), nowMs);
  }

  end(ending: TaskEnding, nowMs: number): void {
    const { task } = ending.entry;
    const answer = this.#answers.get(task.id);
    if (answer === undefined) return;
    this.#answers.delete(task.id);
    if (answer.stream !== null) this.#endStream(answer, answer.stream, ending, nowMs);
    else answer.resolve(this.#wholeResult(ending));
  }

  /** Keeps idle streams open, and finds out which consumers have left them. */
  keepAlive(nowMs: number): void {
    for (const answer of this.#answers.values()) {
      if (nowMs - answer.sentMs >= keepAliveMs) this.#send(answer, keepAliveEvent, nowMs);
    }
  }

  #endStream(
    answer: Answer,
    stream: NonNullable<Answer["stream"]>,
    ending: TaskEnding,
    nowMs: number,
  ): void {
    if (ending.kind === "failed") {
      const { head } = stream;
      const object = head.kind === "chat" ? "chat.completion.chunk" : "text_completion";
      const shape = {
        id: answerId(head),
        object,
        model: head.model,
        created: createdSeconds(head),
      };
      this.#send(answer, errorEvent(ending, shape), nowMs);
    } else if (ending.kind === "answered") {
      const usage = answer.task.usageChunk ? stream.events.usage(ending.counts) : "";
      this.#send(answer, stream.events.finishes(ending.finishes) + usage + doneEvent, nowMs);
    }
    try {
      stream.controller.close();
    } catch {
      // The consumer cancelled the stream first: it is closed already.
    }
  }

  #wholeResult(ending: TaskEnding): RunResult {
    if (ending.kind === "answered") {
      const { attempt, finishes, counts } = ending;
      const answer = { parts: attempt.held, finishes, counts };
      return { kind: "whole", source: sourceOf(attempt), answer };
    }
    const attempts = ending.entry.attemptNumber;
    if (ending.kind === "failed") {
      const { code, message, param, retryAfterS } = ending;
      const record = recordOf(ending, null);
      return { kind: "failed", code, message, param, retryAfterS, attempts, record };
    }
    return {
      kind: "failed",
      code: "client_closed",
      message: "The consumer hung up",
      param: null,
      retryAfterS: null,
      attempts,
      record: null,
    };
  }

  #send(answer: Answer, events: string, nowMs: number): void {
    if (answer.stream === null || events === "") return;
    answer.sentMs = nowMs;
    try {
      answer.stream.controller.enqueue(encoder.encode(events));
    } catch {
      // The consumer cancelled between two events; its `cancel` has told the hub.
    }
  }
}

function headOf(attempt: Attempt): AnswerHead {
  const { task } = attempt.entry;
  return {
    kind: task.kind,
    taskId: task.id,
    createdMs: task.createdMs,
    model: attempt.listing.model,
    digest: attempt.listing.digest,
  };
}

function sourceOf(attempt: Attempt): AnswerSource {
  return {
    workerId: attempt.session.workerId,
    model: attempt.listing.model,
    digest: attempt.listing.digest,
    region: attempt.session.region,
    attempts: attempt.number,
    firstTokenMs: attempt.firstTokenMs ?? attempt.lastFrameMs,
  };
}
