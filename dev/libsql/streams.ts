import { randomBytes } from "node:crypto";
import { Connection } from "./connection.ts";
import type { Patience } from "./stream.ts";
import { Stream } from "./stream.ts";

/*
 * S1. A pipeline that closes its stream runs on the shared connection, one at a time from its first
 *     request to its last: no other pipeline is ever inside its transaction.
 * S2. Any other stream has a connection of its own and is reached by a baton, which each answer
 *     replaces.
 * S3. A baton not used in time is gone, and its transaction with it: nobody else waits for its lock
 *     for ever.
 */

export interface StreamsOptions extends Patience {
  readonly path: string;
  readonly batonMs: number;
}

/** A connection is some 200 kB; no honest client of a development database holds this many. */
const streamsMax = 64;

interface Parked {
  readonly stream: Stream;
  readonly timer: NodeJS.Timeout;
}

/** Why a stream cannot be had: answered with a status, not with a result. */
export class StreamRefused extends Error {
  override readonly name = "StreamRefused";
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The open streams of one database file. */
export class Streams implements AsyncDisposable {
  readonly #options: StreamsOptions;
  readonly #shared: Connection;
  readonly #parked = new Map<string, Parked>();
  #active = 0;
  #lastShared: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#shared = new Connection(options.path);
  }

  /** Runs `work` on a stream that ends with it (S1). */
  runShared<T>(work: (stream: Stream) => Promise<T>): Promise<T> {
    const turn = this.#lastShared.then(async () => {
      if (this.#isClosed) throw new StreamRefused(503, "CLOSED", "the database is closed");
      const stream = new Stream(this.#shared, this.#options);
      try {
        return await work(stream);
      } finally {
        this.#shared.reset();
        if (stream.isUntidy) this.#shared.replace();
      }
    });
    // The next in line starts whether this one failed or not; its failure is its caller's to
    // handle.
    this.#lastShared = turn.catch(() => undefined);
    return turn;
  }

  /**
   * Runs `work` on the stream of `baton`, or on a new one; gives the baton to go on with, null once
   * closed.
   */
  async runOwn<T>(
    baton: string | null,
    work: (stream: Stream) => Promise<T>,
  ): Promise<{ readonly value: T; readonly baton: string | null }> {
    const stream = baton === null ? this.#open() : this.#take(baton);
    this.#active += 1;
    let isUsable = false;
    try {
      const value = await work(stream);
      isUsable = !stream.isClosed && !this.#isClosed;
      return { value, baton: isUsable ? this.#park(stream) : null };
    } finally {
      this.#active -= 1;
      if (!isUsable) stream.connection[Symbol.dispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { stream, timer } of this.#parked.values()) {
      clearTimeout(timer);
      stream.connection[Symbol.dispose]();
    }
    this.#parked.clear();
    await this.#lastShared;
    this.#shared[Symbol.dispose]();
  }

  #open(): Stream {
    if (this.#isClosed) throw new StreamRefused(503, "CLOSED", "the database is closed");
    if (this.#parked.size + this.#active >= streamsMax) {
      throw new StreamRefused(503, "TOO_MANY_STREAMS", `${streamsMax} streams are open already`);
    }
    return new Stream(new Connection(this.#options.path), this.#options);
  }

  /** A baton is good for one request: while that runs, a second one with it finds nothing. */
  #take(baton: string): Stream {
    const parked = this.#parked.get(baton);
    if (parked === undefined) {
      throw new StreamRefused(400, "BATON_INVALID", "the baton names no open stream");
    }
    clearTimeout(parked.timer);
    this.#parked.delete(baton);
    return parked.stream;
  }

  #park(stream: Stream): string {
    const baton = randomBytes(24).toString("base64url");
    const expire = (): void => {
      this.#parked.delete(baton);
      stream.connection[Symbol.dispose]();
    };
    const timer = setTimeout(expire, this.#options.batonMs);
    timer.unref();
    this.#parked.set(baton, { stream, timer });
    return baton;
  }
}
