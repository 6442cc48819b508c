import type { Finish, OutputPart } from "../../../shared/openai/output.ts";
import type { TokenCounts } from "../../../shared/money.ts";
import type { ErrorCode } from "../../../shared/errors.ts";
import type { EventId } from "../../inference/event-id.ts";
import { eventsBehind, keepAliveEvent, type StreamEvents } from "../../inference/stream-events.ts";

/** What may wait unread in a consumer's stream before the worker's window stays shut. */
const unreadBytesMax = 64 * 1024;
/**
 * A reading consumer is reported a quarter of that at a time: a report a chunk would cost more than
 * the chunk.
 */
const reportBytes = unreadBytesMax / 4;
/**
 * What one answer keeps for whoever loses the connection, some ten thousand events: beyond it, it
 * cannot be resumed.
 */
const logCharsMax = 4 * 1024 * 1024;
/** A consumer that means to come back is waited for as long as an answer is kept. */
const awayMsMax = 5 * 60_000;

const encoder = new TextEncoder();

/** Where an answer's beginning goes, and who hears of its reader. */
export interface AnswerStreamPorts {
  /** The answer begins as a stream. */
  readonly begun: (stream: ReadableStream<Uint8Array>) => void;
  /** The answer was complete before it began: these are all its events. */
  readonly complete: (events: string) => void;
  readonly gone: () => void;
  readonly read: () => void;
  /** Room for so many more characters of the log. */
  readonly reserve: (chars: number) => boolean;
  /** The log is given up. */
  readonly release: (chars: number) => void;
}

/** Where what is written goes. */
type Reader =
  | { readonly kind: "none yet" }
  | { readonly kind: "here"; readonly controller: ReadableByteStreamController }
  /** The connection is lost, and the consumer means to come back. */
  | { readonly kind: "away"; sinceMs: number };

/**
 * One streamed answer on its way to the front Worker: a byte stream, the cheapest kind of the
 * runtime. What is written between two flushes leaves as one chunk. A copy of it is kept, so that a
 * consumer who lost the connection can have the rest.
 */
export class AnswerStream {
  /** When something was last sent. */
  sentMs: number;
  #events: StreamEvents;
  readonly #usageChunk: boolean;
  /** Whether it goes on without its reader. */
  readonly #mayWait: boolean;
  readonly #on: AnswerStreamPorts;
  #reader: Reader = { kind: "none yet" };
  #text = "";
  /** Everything that was sent; null where it is too much to keep. */
  #log: string | null = "";
  #isEnding = false;
  /** Nobody reads, and there is no room for more. */
  #isOverflown = false;
  /** Bytes sent since the consumer was last reported to be reading. */
  #unreportedBytes = 0;
  /** The room there was when somebody last looked, and when the consumer had last made some. */
  #roomSeen = unreadBytesMax;
  #readMs: number;

  constructor(
    events: StreamEvents,
    options: { readonly usageChunk: boolean; readonly mayWait: boolean; readonly nowMs: number },
    on: AnswerStreamPorts,
  ) {
    this.#events = events;
    this.#usageChunk = options.usageChunk;
    this.#mayWait = options.mayWait;
    this.#on = on;
    this.sentMs = options.nowMs;
    this.#readMs = options.nowMs;
  }

  /** Who answers is known now: nothing but comments was sent before. */
  begin(events: StreamEvents): void {
    this.#events = events;
  }

  /** What was sent so far, or null where it was too much to keep. */
  get log(): string | null {
    return this.#log;
  }

  parts(parts: readonly OutputPart[]): void {
    this.#text += this.#events.parts(parts);
  }

  finish(finishes: readonly Finish[], counts: TokenCounts): void {
    this.#text += this.#events.finishes(finishes);
    if (this.#usageChunk) this.#text += this.#events.usage(counts);
    this.#text += this.#events.done();
    this.#isEnding = true;
  }

  fail(error: { readonly code: ErrorCode; readonly message: string }): void {
    this.#text += this.#events.error(error);
    this.#isEnding = true;
  }

  keepAlive(): void {
    if (this.#reader.kind !== "away") this.#text += keepAliveEvent;
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
    if (this.#reader.kind !== "here") return unreadBytesMax;
    return this.#reader.controller.desiredSize ?? 0;
  }

  /** Sends what was written: as one chunk, or whole where the answer ends before it began. */
  flush(nowMs: number): void {
    const text = this.#text;
    this.#text = "";
    this.#keep(text);
    if (this.#reader.kind === "none yet" && this.#isEnding) {
      this.#on.complete(text);
      return;
    }
    if (this.#reader.kind === "away") {
      this.#writeAway(nowMs, this.#reader.sinceMs);
      return;
    }
    if (this.#reader.kind === "none yet") this.#on.begun(this.#open(nowMs));
    this.#write(text, nowMs);
  }

  #write(text: string, nowMs: number): void {
    if (this.#reader.kind !== "here") return;
    const { controller } = this.#reader;
    try {
      if (text !== "") {
        const chunk = encoder.encode(text);
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

  /** Nobody reads: it goes on into the log, as far as that reaches and as long as that is kept. */
  #writeAway(nowMs: number, sinceMs: number): void {
    this.sentMs = nowMs;
    if (this.#isEnding) return;
    if (this.#isOverflown || nowMs - sinceMs > awayMsMax) this.#on.gone();
    else this.#reportReading();
  }

  #keep(text: string): void {
    if (this.#log === null || text === "" || text === keepAliveEvent) return;
    const isShort = this.#log.length + text.length <= logCharsMax;
    // The last event of an answer is short, and tells how it ended.
    if (!this.#isOverflown && isShort && this.#on.reserve(text.length)) this.#log += text;
    else if (this.#reader.kind === "away") this.#isOverflown = true;
    else {
      // With a gap it would be of no use to anyone.
      this.#on.release(this.#log.length);
      this.#log = null;
    }
  }

  /** Ends an answer that nobody reads: what was kept of it ends with why. */
  breakOff(error: { readonly code: ErrorCode; readonly message: string }): void {
    const event = this.#isOverflown ? "" : this.#text;
    this.#text = "";
    const last = event + this.#events.error(error);
    if (this.#log !== null && this.#on.reserve(last.length)) this.#log += last;
    this.#isEnding = true;
  }

  /**
   * The rest of the answer, behind an event that its consumer has: the connection it was sent over
   * is told, where it still stands. Null where that is not known any more.
   */
  reopen(id: EventId, nowMs: number): ReadableStream<Uint8Array> | null {
    const rest = this.#log === null ? null : eventsBehind(this.#log, id);
    if (rest === null || this.#reader.kind === "none yet") return null;
    this.#hangUp("The answer is read over another connection");
    const stream = this.#open(nowMs);
    this.#write(rest, nowMs);
    if (!this.isFull) this.#reportReading();
    return stream;
  }

  /** Tells a reader that the stream is not its any more: it must not take it for whole. */
  #hangUp(message: string): void {
    if (this.#reader.kind !== "here") return;
    const { controller } = this.#reader;
    try {
      controller.enqueue(encoder.encode(this.#events.notice({ code: "client_closed", message })));
      controller.close();
    } catch {
      // It was cancelled before.
    }
  }

  /** The consumer is gone. False where it is waited for: the answer goes on without it. */
  leave(nowMs: number): boolean {
    if (!this.#mayWait || this.#log === null || this.#isEnding) return true;
    this.#hangUp("The connection was given up; read on at the task's stream");
    this.#reader = { kind: "away", sinceMs: nowMs };
    // What had been granted may all be on its way already.
    this.#reportReading();
    return false;
  }

  #open(nowMs: number): ReadableStream<Uint8Array> {
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
        cancel: () => {
          // A connection that another has taken the place of says nothing any more.
          const isCurrent = this.#reader.kind === "here" && this.#reader.controller === controller;
          if (isCurrent && this.leave(Date.now())) this.#on.gone();
        },
      },
      { highWaterMark: unreadBytesMax },
    );
    if (controller === undefined) throw new TypeError("a stream starts at once");
    this.#reader = { kind: "here", controller };
    this.#unreportedBytes = 0;
    this.#roomSeen = unreadBytesMax;
    this.#readMs = nowMs;
    return readable;
  }

  #reportReading(): void {
    this.#unreportedBytes = 0;
    this.#on.read();
  }
}
