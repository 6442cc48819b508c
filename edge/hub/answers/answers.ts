import { assert } from "../../../shared/assert.ts";
import type { ErrorCode } from "../../../shared/errors.ts";
import type { OutputPart } from "../../../shared/openai/output.ts";
import { type AnswerHead, generatedKind } from "../../inference/answer-head.ts";
import type { InferenceTask } from "../../inference/task.ts";
import type { GatheredAnswer } from "../../inference/whole-answer.ts";
import type { TaskRecord } from "../../billing/closing.ts";
import type { EventId } from "../../inference/event-id.ts";
import { eventsBehind, StreamEvents } from "../../inference/stream-events.ts";
import { Later } from "../../later.ts";
import { AnswerStream } from "./answer-stream.ts";
import { KeptAnswers } from "./kept-answers.ts";
import { type Attempt, recordOf, type TaskEnding } from "../hub-state.ts";

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
      /** Null where nothing has come yet: it begins so that its consumer sees that it lives. */
      readonly source: AnswerSource | null;
      readonly stream: ReadableStream<Uint8Array>;
    }
  /** A streamed answer that was complete at once: all its events. */
  | { readonly kind: "events"; readonly source: AnswerSource; readonly events: string }
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

/** The rest of an answer whose connection was lost. */
export type Resumed =
  | {
      readonly kind: "stream";
      readonly task: InferenceTask;
      readonly stream: ReadableStream<Uint8Array>;
    }
  /** It is over: these are all events that are missing. */
  | { readonly kind: "events"; readonly events: string };

/** Below the ten seconds after which an object without a timer is put to sleep. */
const awakeMs = 5_000;

/**
 * An idle stream notices no FIN: the first write after it is answered by a reset, and the second
 * fails, so that two of these find out who has left within ten seconds.
 */
const keepAliveMs = 4_000;
/**
 * A streamed answer begins without a word after so long; before it, whatever fails can still be an
 * HTTP status, or another hub's.
 */
const announceMs = 10_000;

interface Answer {
  readonly task: InferenceTask;
  readonly openedMs: number;
  readonly resolve: (result: RunResult) => void;
  stream: AnswerStream | null;
}

/** The consumers' side of a hub: one answer a task, as a stream of events or whole. */
export class Answers {
  readonly #answers = new Map<string, Answer>();
  /** Those that are over, for whoever lost the connection. */
  readonly #kept = new KeptAnswers();
  readonly #awake = new Later(() => this.#stayAwake());
  readonly #hubId: string;
  readonly #onGone: (taskId: string) => void;
  readonly #onRead: (taskId: string) => void;
  readonly #onAnnounced: (taskId: string) => void;
  readonly #onKeeping: () => void;
  /** Streams with something to send at the end of this step. */
  #written = new Set<AnswerStream>();
  /** Streams that end with what is written. */
  readonly #ended: { readonly task: InferenceTask; readonly stream: AnswerStream }[] = [];
  #isFlushing = false;

  constructor(
    hubId: string,
    on: {
      readonly gone: (taskId: string) => void;
      readonly read: (taskId: string) => void;
      readonly announced: (taskId: string) => void;
      /** It still has answers that somebody may ask for. */
      readonly keeping: () => void;
    },
  ) {
    this.#onAnnounced = on.announced;
    this.#onKeeping = on.keeping;
    this.#hubId = hubId;
    this.#onGone = on.gone;
    this.#onRead = on.read;
  }

  open(task: InferenceTask, nowMs: number): Promise<RunResult> {
    const { promise, resolve } = Promise.withResolvers<RunResult>();
    this.#answers.set(task.id, { task, openedMs: nowMs, resolve, stream: null });
    return promise;
  }

  /** The first output of a streamed answer is here. */
  start(attempt: Attempt, nowMs: number): void {
    const { task } = attempt.entry;
    const answer = this.#answers.get(task.id);
    if (answer === undefined) return;
    const { model, digest } = attempt.listing;
    if (answer.stream !== null) answer.stream.begin(this.#eventsOf(task, { model, digest }));
    else this.#begin(answer, sourceOf(attempt), { model, digest }, nowMs);
  }

  #begin(
    answer: Answer,
    source: AnswerSource | null,
    weights: Pick<AnswerHead, "model" | "digest">,
    nowMs: number,
  ): void {
    const { task } = answer;
    const options = { usageChunk: task.usageChunk, mayWait: task.resume, nowMs };
    answer.stream = new AnswerStream(this.#eventsOf(task, weights), options, {
      begun: (stream) => answer.resolve({ kind: "stream", source, stream }),
      complete: (events) => {
        assert(source !== null, "an answer that is complete has a worker");
        answer.resolve({ kind: "events", source, events });
      },
      gone: () => this.#leave(answer),
      read: () => this.#onRead(task.id),
      reserve: (chars) => this.#kept.reserve(chars),
      release: (chars) => this.#kept.release(chars),
    });
    this.#written.add(answer.stream);
  }

  #eventsOf(task: InferenceTask, weights: Pick<AnswerHead, "model" | "digest">): StreamEvents {
    const { id: taskId, createdMs } = task;
    const head = { kind: generatedKind(task), taskId, createdMs, ...weights };
    return new StreamEvents(head, task.usageChunk, this.#hubId);
  }

  /** The consumer is gone for good: what it has paid for is kept for it all the same. */
  #leave({ task, stream }: Answer): void {
    if (!this.#answers.delete(task.id) || stream === null) return;
    const message = "The answer was stopped because nobody read it any more";
    stream.breakOff({ code: "client_closed", message });
    this.#keep(task, stream);
    this.#onGone(task.id);
  }

  #keep(task: InferenceTask, { log }: AnswerStream): void {
    if (log === null) return;
    this.#kept.release(log.length);
    this.#kept.add({ taskId: task.id, accountId: task.accountId, text: log }, Date.now());
    this.#awake.arm(awakeMs);
  }

  /** A hub that slept would forget what is kept, and one that nobody knows is not asked for it. */
  async #stayAwake(): Promise<void> {
    this.#kept.forget(Date.now());
    if (this.#kept.size === 0) return;
    this.#awake.arm(awakeMs);
    this.#onKeeping();
  }

  /**
   * The rest of a streamed answer behind an event that its consumer has: as a stream where it is
   * still made. Null where the account has no such answer, or not any more.
   */
  resume(
    of: { readonly taskId: string; readonly accountId: string; readonly after: EventId },
    nowMs: number,
  ): Resumed | null {
    const running = this.#answers.get(of.taskId);
    const kept = running === undefined ? this.#kept.find(of.taskId, nowMs) : null;
    if (kept?.accountId === of.accountId) {
      const events = eventsBehind(kept.text, of.after);
      return events === null ? null : { kind: "events", events };
    }
    if (running?.task.accountId !== of.accountId) return null;
    // What is written and not sent belongs to the rest.
    this.flush(nowMs);
    const stream = running.stream?.reopen(of.after, nowMs) ?? null;
    // The request itself is long, and nothing to whoever reads the answer.
    return stream === null ? null : { kind: "stream", task: { ...running.task, body: "" }, stream };
  }

  deliver(taskId: string, parts: readonly OutputPart[]): void {
    const stream = this.#answers.get(taskId)?.stream ?? null;
    if (stream === null) return;
    stream.parts(parts);
    this.#written.add(stream);
  }

  end(ending: TaskEnding): void {
    const { task } = ending.entry;
    const answer = this.#answers.get(task.id);
    if (answer === undefined) return;
    this.#answers.delete(task.id);
    const { stream } = answer;
    if (stream === null) {
      answer.resolve(this.#wholeResult(ending));
      return;
    }
    if (ending.kind === "failed") stream.fail(ending);
    else if (ending.kind === "answered") stream.finish(ending.finishes, ending.counts);
    else stream.fail({ code: "timeout", message: "The answer took too long and was ended" });
    this.#written.add(stream);
    this.#ended.push({ task, stream });
  }

  /** Keeps idle streams open, and finds out which consumers have left them. */
  keepAlive(nowMs: number): void {
    for (const answer of this.#answers.values()) {
      const { task, stream, openedMs } = answer;
      if (stream === null) {
        // A silent connection is dropped on the way, and only a write finds out who has left.
        if (!task.streamed || nowMs - openedMs < announceMs) continue;
        this.#begin(answer, null, { model: task.model, digest: "" }, nowMs);
        answer.stream?.keepAlive();
        this.#onAnnounced(task.id);
        continue;
      }
      if (nowMs - stream.sentMs < keepAliveMs) continue;
      stream.keepAlive();
      this.#written.add(stream);
    }
    this.flush(nowMs);
  }

  /**
   * The tasks whose consumers have left output unread. One who reads none of it for `patienceMs` is
   * hung up on, because workers' slots are not for keeping answers in; what was delivered is paid.
   */
  unread(nowMs: number, patienceMs: number): ReadonlySet<string> {
    const unread = new Set<string>();
    for (const [taskId, { task, stream }] of this.#answers) {
      const unreadMs = stream?.unreadMs(nowMs) ?? 0;
      if (stream === null || !stream.isFull) continue;
      unread.add(taskId);
      if (unreadMs < patienceMs || !stream.leave(nowMs)) continue;
      this.#answers.delete(taskId);
      const message = `Nothing of the answer was read for ${patienceMs} ms`;
      stream.fail({ code: "client_closed", message });
      stream.flush(nowMs);
      this.#keep(task, stream);
      this.#onGone(taskId);
    }
    return unread;
  }

  /**
   * Sends what is written in this turn, once it is over: the frames of one message make one chunk,
   * and an answer that came whole in one message needs no stream at all.
   */
  flushSoon(): void {
    if (this.#isFlushing || this.#written.size === 0) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.flush(Date.now());
    });
  }

  flush(nowMs: number): void {
    if (this.#written.size === 0) return;
    const written = this.#written;
    this.#written = new Set();
    for (const stream of written) stream.flush(nowMs);
    for (const { task, stream } of this.#ended.splice(0)) this.#keep(task, stream);
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
