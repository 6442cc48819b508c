import { Worker } from "node:worker_threads";

/** One load: the same request, so many at a time, for so long. */
export interface Load {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly concurrency: number;
  readonly durationMs: number;
}

export interface LoadResult {
  readonly replies: number;
  readonly failures: number;
  readonly seconds: number;
  /** Milliseconds from sending a request to the first byte of its body, one a reply. */
  readonly firstByteMs: readonly number[];
  readonly bytes: number;
}

/** A thread that makes requests, so that measuring does not wait for what is measured. */
export class LoadClient implements AsyncDisposable {
  readonly #worker = new Worker(new URL("./load-thread.ts", import.meta.url));

  run(load: Load): Promise<LoadResult> {
    return new Promise((resolve, reject) => {
      this.#worker.once("message", resolve);
      this.#worker.once("error", reject);
      this.#worker.postMessage(load);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
