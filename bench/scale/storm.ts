import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Listing } from "../../shared/protocol/listing.ts";

export interface StormOptions {
  /** `ws://…/worker`. */
  readonly url: string;
  readonly workers: number;
  /** Who earns: workers share them, and are taken on first. */
  readonly accounts: readonly string[];
  readonly edge: { readonly url: string; readonly operatorKey: string };
  readonly listing: Listing;
}

export type StormCommand = "report" | "kill" | "stop";

export interface StormReport {
  readonly ready: number;
  /** Sessions that ended since the last kill. */
  readonly lost: number;
  /** Dials since the last kill that did not end in a welcome, and why. */
  readonly rejected: number;
  readonly reasons: Readonly<Record<string, number>>;
  /** When the last worker became ready, by Date.now. */
  readonly lastReadyMs: number;
  readonly workersByHub: Readonly<Record<string, number>>;
}

/** Workers' sockets in threads of their own, so that measuring does not wait for them. */
export class Storm implements AsyncDisposable {
  readonly #threads: readonly Worker[];

  constructor(options: StormOptions, threads: number) {
    const workers = Math.ceil(options.workers / threads);
    this.#threads = Array.from({ length: threads }, () => {
      const workerData: StormOptions = { ...options, workers };
      return new Worker(new URL("./storm-thread.ts", import.meta.url), { workerData });
    });
  }

  /** What all threads together say in answer. */
  async tell(command: StormCommand): Promise<StormReport> {
    const reports = await Promise.all(this.#threads.map((thread) => ask(thread, command)));
    return reports.reduce((all, one) => ({
      ready: all.ready + one.ready,
      lost: all.lost + one.lost,
      rejected: all.rejected + one.rejected,
      reasons: added(all.reasons, one.reasons),
      lastReadyMs: Math.max(all.lastReadyMs, one.lastReadyMs),
      workersByHub: added(all.workersByHub, one.workersByHub),
    }));
  }

  /**
   * Waits until so many are ready, and so many had been lost before; gives what is known at the
   * end, where that takes too long.
   */
  async untilReady(workers: number, lost: number, withinMs: number): Promise<StormReport> {
    const endMs = Date.now() + withinMs;
    for (;;) {
      const report = await this.tell("report");
      if (report.ready >= workers && report.lost >= lost) return report;
      if (Date.now() > endMs) return report;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

async function ask(thread: Worker, command: StormCommand): Promise<StormReport> {
  // `once` takes its listener of errors back, too.
  const answered = once(thread, "message") as Promise<[StormReport]>;
  thread.postMessage(command);
  return (await answered)[0];
}

function added(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Record<string, number> {
  const sum: Record<string, number> = { ...a };
  for (const [name, count] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}
