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

/**
 * One streamed answer on its way to the front Worker: a byte stream, the cheapest kind of the
 * runtime. What is written between two flushes leaves as one chunk.
 */
export class AnswerStream {
  readonly readable: ReadableStream<Uint8Array>;
  /** When something was last sent. */
  sentMs: number;
  readonly #head: AnswerHead;
  readonly #usageChunk: boolean;
  readonly #events: StreamEvents;
  readonly #onRead: () => void;
  readonly #controller: ReadableByteStreamController;
  #text = "";
  #isEnding = false;
  /** Bytes sent since the consumer was last reported to be reading. */
  #unreportedBytes = 0;
  /** The room there was when somebody last looked, and when the consumer had last made some. */
  #roomSeen = unreadBytesMax;
  #readMs: number;

  constructor(
    head: AnswerHead,
    usageChunk: boolean,
    nowMs: number,
    on: { readonly gone: () => void; readonly read: () => void },
  ) {
    this.#head = head;
    this.#usageChunk = usageChunk;
    this.#events = new StreamEvents(head, usageChunk);
    this.#onRead = on.read;
    this.sentMs = nowMs;
    this.#readMs = nowMs;
    let controller: ReadableByteStreamController | undefined;
    this.readable = new ReadableStream(
      {
        type: "bytes",
        start: (own) => {
          controller = own;
        },
        // The consumer has made room.
        pull: () => {
          if (this.#unreportedBytes >= reportBytes) this.#reportReading();
        },
        cancel: () => on.gone(),
      },
      { highWaterMark: unreadBytesMax },
    );
    if (controller === undefined) throw new TypeError("a stream starts at once");
    this.#controller = controller;
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
    return this.#controller.desiredSize ?? 0;
  }

  flush(nowMs: number): void {
    try {
      if (this.#text !== "") {
        const chunk = encoder.encode(this.#text);
        this.#text = "";
        this.sentMs = nowMs;
        this.#unreportedBytes += chunk.byteLength;
        this.#controller.enqueue(chunk);
      }
      if (this.#isEnding) this.#controller.close();
    } catch {
      // The consumer cancelled between two events: its `cancel` has told the hub.
      return;
    }
    if (!this.isFull && this.#unreportedBytes >= reportBytes) this.#reportReading();
  }

  #reportReading(): void {
    this.#unreportedBytes = 0;
    this.#onRead();
  }
}
