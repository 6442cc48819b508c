import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { StreamRequest } from "./reply.ts";

/** The same request so many times at once. */
export interface StreamLoad extends StreamRequest {
  readonly streams: number;
  /** They start evenly over so long. */
  readonly spreadMs: number;
}

export interface StreamLoadResult {
  readonly failures: number;
  /** Milliseconds from a chunk to the next one of its stream, as the client's socket gives them. */
  readonly gapsMs: readonly number[];
  readonly bytes: number;
}

/** A thread that reads paced streams and times their chunks. */
export class StreamClient implements AsyncDisposable {
  readonly #thread = new Worker(new URL("./stream-load-thread.ts", import.meta.url));

  async run(load: StreamLoad): Promise<StreamLoadResult> {
    const answered = once(this.#thread, "message");
    this.#thread.postMessage(load);
    const [result] = (await answered) as [StreamLoadResult];
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread.terminate();
  }
}
