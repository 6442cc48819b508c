import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** One load: the same request, so many at a time, for so long. */
export interface Load {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** More headers for single clients, in turn: each may have an account of its own. */
  readonly headersByClient?: readonly Readonly<Record<string, string>>[];
  readonly body: string;
  readonly concurrency: number;
  readonly durationMs: number;
}

export interface LoadResult {
  readonly replies: number;
  readonly failures: number;
  /** What the first failure said. */
  readonly failure: string;
  readonly seconds: number;
  /** Milliseconds from sending a request to the first byte of its body, one a reply. */
  readonly firstByteMs: readonly number[];
  readonly bytes: number;
}

/** A thread that makes requests, so that measuring does not wait for what is measured. */
export class LoadClient implements AsyncDisposable {
  readonly #worker = new Worker(new URL("./load-thread.ts", import.meta.url));

  async run(load: Load): Promise<LoadResult> {
    // Rejects where the thread fails, and takes its listeners back either way.
    const answered = once(this.#worker, "message");
    this.#worker.postMessage(load);
    const [result] = (await answered) as [LoadResult];
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
