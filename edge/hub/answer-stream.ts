import type { Finish, OutputPart } from "../../shared/openai/output.ts";
import type { TokenCounts } from "../../shared/money.ts";
import type { ErrorCode } from "../../shared/errors.ts";
import type { AnswerHead } from "../inference/answer-head.ts";
import {
  doneEvent,
  errorAnswer,
  errorEvent,
  keepAliveEvent,
  StreamEvents,
} from "../inference/stream-events.ts";

/** What may wait unread in a consumer's stream before the worker's window stays shut. */
const unreadBytesMax = 64 * 1024;
/**
 * A reading consumer is reported a quarter of that at a time: a report a chunk would cost more than
 * the chunk.
 */
const reportBytes = unreadBytesMax / 4;

const encoder = new TextEncoder();

/** Where an answer's beginning goes, and who hears of its reader. */
export interface AnswerStreamPorts {
  /** The answer begins as a stream. */
  readonly begun: (stream: ReadableStream<Uint8Array>) => void;
  /** The answer was complete before it began: these are all its events. */
  readonly complete: (events: string) => void;
  readonly gone: () => void;
  readonly read: () => void;
}

/**
 * One streamed answer on its way to the front Worker: a byte stream, the cheapest kind of the
 * runtime. What is written between two flushes leaves as one chunk.
 */
export class AnswerStream {
  /** When something was last sent. */
  sentMs: number;
  readonly #head: AnswerHead;
  readonly #usageChunk: boolean;
  readonly #events: StreamEvents;
  readonly #on: AnswerStreamPorts;
  /** Null until there is a stream: an answer that is complete at its first flush needs none. */
  #controller: ReadableByteStreamController | null = null;
  #text = "";
  #isEnding = false;
  /** Bytes sent since the consumer was last reported to be reading. */
  #unreportedBytes = 0;
  /** The room there was when somebody last looked, and when the consumer had last made some. */
  #roomSeen = unreadBytesMax;
  #readMs: number;

  constructor(head: AnswerHead, usageChunk: boolean, nowMs: number, on: AnswerStreamPorts) {
    this.#head = head;
    this.#usageChunk = usageChunk;
    this.#events = new StreamEvents(head, usageChunk);
    this.#on = on;
    this.sentMs = nowMs;
    this.#readMs = nowMs;
  }

  parts(parts: readonly OutputPart[]): void {
    this.#text += this.#events.parts(parts);
  }

  finish(finishes: readonly Finish[], counts: TokenCounts): void {
    const usage = this.#usageChunk ? this.#events.usage(counts) : "";
    this.#text += this.#events.finishes(finishes) + usage + doneEvent;
    this.#isEnding = true;
  }

  fail(error: { readonly code: ErrorCode; readonly message: string }): void {
    this.#text += errorEvent(error, errorAnswer(this.#head));
    this.#isEnding = true;
  }

  keepAlive(): void {
    this.#text += keepAliveEvent;
  }

  /** Whether as much waits for the consumer as ever may. */
  get isFull(): boolean {
    return this.#room <= 0;
  }

  /** How long the consumer has read nothing, as far as those who ask now and then can see. */
  unreadMs(nowMs: number): number {
    const room = this.#room;
    if (room > 0 || room > this.#roomSeen) this.#readMs = nowMs;
    this.#roomSeen = room;
    return nowMs - this.#readMs;
  }

  get #room(): number {
    return this.#controller === null ? unreadBytesMax : (this.#controller.desiredSize ?? 0);
  }

  /** Sends what was written: as one chunk, or whole where the answer ends before it began. */
  flush(nowMs: number): void {
    if (this.#controller === null && this.#isEnding) {
      this.#on.complete(this.#text);
      return;
    }
    const controller = this.#controller ?? this.#open();
    try {
      if (this.#text !== "") {
        const chunk = encoder.encode(this.#text);
        this.#text = "";
        this.sentMs = nowMs;
        this.#unreportedBytes += chunk.byteLength;
        controller.enqueue(chunk);
      }
      if (this.#isEnding) controller.close();
    } catch {
      // The consumer cancelled between two events: its `cancel` has told the hub.
      return;
    }
    if (!this.isFull && this.#unreportedBytes >= reportBytes) this.#reportReading();
  }

  #open(): ReadableByteStreamController {
    let controller: ReadableByteStreamController | undefined;
    const readable = new ReadableStream(
      {
        type: "bytes",
        start: (own) => {
          controller = own;
        },
        // The consumer has made room.
        pull: () => {
          if (this.#unreportedBytes >= reportBytes) this.#reportReading();
        },
        cancel: () => this.#on.gone(),
      },
      { highWaterMark: unreadBytesMax },
    );
    if (controller === undefined) throw new TypeError("a stream starts at once");
    this.#controller = controller;
    this.#on.begun(readable);
    return controller;
  }

  #reportReading(): void {
    this.#unreportedBytes = 0;
    this.#on.read();
  }
}
