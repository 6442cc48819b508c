import { type Attempt, recordOf, type TaskEnding } from "../../../edge/hub/hub-state.ts";
import { type AnswerHead, generatedKind } from "../../../edge/inference/answer-head.ts";
import { keepAliveEvent, StreamEvents } from "../../../edge/inference/stream-events.ts";
import type { InferenceTask } from "../../../edge/inference/task.ts";
import type { OutputPart } from "../../../shared/openai/output.ts";
import type { RunPipe, Source } from "../front/run-pipe.ts";
import { hold } from "../truth.ts";

/** As in edge/hub/answers/answers.ts. */
const keepAliveMs = 10_000;
const unreadMax = 64 * 1024;

interface Answer {
  readonly task: InferenceTask;
  readonly pipe: RunPipe;
  stream: { readonly events: StreamEvents; readonly head: AnswerHead } | null;
  unread: number;
  sentMs: number;
}

/**
 * The consumers' side of a simulated hub: edge/hub/answers/answers.ts with a pipe for a
 * ReadableStream.
 */
export class HubAnswers {
  readonly #answers = new Map<string, Answer>();
  readonly #onRead: (taskId: string) => void;
  readonly #unreadBound: number;

  constructor(onRead: (taskId: string) => void, windowBytes: number) {
    this.#onRead = onRead;
    // A byte of output is at most twelve of an event (an escaped surrogate), and the events around
    // it.
    this.#unreadBound = unreadMax + 4_096 + 600 * windowBytes;
  }

  get count(): number {
    return this.#answers.size;
  }

  open(task: InferenceTask, pipe: RunPipe, nowMs: number): void {
    this.#answers.set(task.id, { task, pipe, stream: null, unread: 0, sentMs: nowMs });
  }

  start(attempt: Attempt): void {
    const answer = this.#answers.get(attempt.entry.task.id);
    if (answer === undefined) return;
    const { task } = answer;
    const head: AnswerHead = {
      kind: generatedKind(task),
      taskId: task.id,
      createdMs: task.createdMs,
      model: attempt.listing.model,
      digest: attempt.listing.digest,
    };
    answer.stream = { events: new StreamEvents(head, task.usageChunk, "weur:0"), head };
    answer.pipe.send({ kind: "stream", source: sourceOf(attempt) });
  }

  deliver(taskId: string, parts: readonly OutputPart[], nowMs: number): void {
    const answer = this.#answers.get(taskId);
    if (answer === undefined || answer.stream === null) return;
    this.#send(answer, answer.stream.events.parts(parts), nowMs);
    if (answer.unread < unreadMax) this.#onRead(taskId);
  }

  end(ending: TaskEnding, nowMs: number): void {
    const answer = this.#answers.get(ending.entry.task.id);
    if (answer === undefined) return;
    this.#answers.delete(answer.task.id);
    if (answer.stream === null) {
      answer.pipe.send(wholeResult(ending));
      return;
    }
    const { events } = answer.stream;
    if (ending.kind === "failed") {
      this.#send(answer, events.error(ending), nowMs);
    } else if (ending.kind === "answered") {
      let last = events.finishes(ending.finishes);
      if (answer.task.usageChunk) last += events.usage(ending.counts);
      this.#send(answer, last + events.done(), nowMs);
    }
    answer.pipe.send({ kind: "closed" });
  }

  keepAlive(nowMs: number): void {
    for (const answer of this.#answers.values()) {
      if (nowMs - answer.sentMs >= keepAliveMs) this.#send(answer, keepAliveEvent, nowMs);
    }
  }

  /** The front Worker took `count` characters from the stream. */
  read(taskId: string, count: number): void {
    const answer = this.#answers.get(taskId);
    if (answer === undefined) return;
    answer.unread -= count;
    if (answer.unread < unreadMax) this.#onRead(taskId);
  }

  /** The stream was cancelled; false where the task has no stream any more. */
  leave(taskId: string): boolean {
    const answer = this.#answers.get(taskId);
    if (answer === undefined || answer.stream === null) return false;
    return this.#answers.delete(taskId);
  }

  loseAll(): void {
    for (const answer of this.#answers.values()) answer.pipe.lose();
    this.#answers.clear();
  }

  #send(answer: Answer, text: string, nowMs: number): void {
    if (answer.stream === null || text === "") return;
    answer.sentMs = nowMs;
    answer.unread += text.length;
    hold(answer.unread <= this.#unreadBound, "I14", () => `${answer.unread} characters unread`);
    answer.pipe.send({ kind: "chunk", text });
  }
}

function wholeResult(ending: TaskEnding): Parameters<RunPipe["send"]>[0] {
  if (ending.kind === "answered") {
    const { attempt, finishes, counts } = ending;
    const answer = { parts: attempt.held, finishes, counts };
    return { kind: "whole", source: sourceOf(attempt), answer };
  }
  const attempts = ending.entry.attemptNumber;
  if (ending.kind === "failed") {
    return { kind: "failed", code: ending.code, attempts, record: recordOf(ending, null) };
  }
  return { kind: "failed", code: "client_closed", attempts, record: null };
}

function sourceOf(attempt: Attempt): Source {
  const { model, digest } = attempt.listing;
  return { attempt: attempt.id, model, digest };
}
