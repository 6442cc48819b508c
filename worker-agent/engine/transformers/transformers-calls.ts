import type { Worker } from "node:worker_threads";
import { EngineError } from "../engine.ts";
import type { ThreadAnswer, ThreadCall, ThreadRequest } from "./transformers-thread.ts";

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Questions to the thread that computes, and its answers. */
export class ThreadCalls {
  readonly #thread: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #fault: string | null = null;

  constructor(thread: Worker) {
    this.#thread = thread;
    thread.on("message", (answer: ThreadAnswer) => this.#take(answer));
    thread.on("error", (error) => this.#end(`its thread failed: ${error.message}`));
    thread.on("exit", () => this.#end("its thread ended"));
  }

  /** Why no call can succeed any more; null while they can. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Throws EngineError, or the signal's reason. The caller knows the type of the answer. */
  async call<Value>(call: ThreadCall, signal: AbortSignal): Promise<Value> {
    signal.throwIfAborted();
    if (this.#fault !== null) throw failed(this.#fault);
    const id = this.#nextId++;
    const onAbort = (): void => {
      this.#thread.postMessage({ id, call: { kind: "abort" } } satisfies ThreadRequest);
      this.#waiting.get(id)?.reject(signal.reason);
      this.#waiting.delete(id);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await new Promise<Value>((resolve, reject) => {
        this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        this.#thread.postMessage({ id, call } satisfies ThreadRequest);
      });
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async close(): Promise<void> {
    this.#end("it was unloaded");
    await this.#thread.terminate();
  }

  #take(answer: ThreadAnswer): void {
    if (answer.kind === "loaded" || answer.kind === "unloadable") return;
    // An aborted call's answer comes too late for anybody.
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.kind === "done") {
      waiting?.resolve(answer.value);
      return;
    }
    const cause = new Error(answer.detail);
    waiting?.reject(new EngineError(answer.code, answer.message, { cause }));
  }

  #end(fault: string): void {
    this.#fault ??= fault;
    for (const { reject } of this.#waiting.values()) reject(failed(fault));
    this.#waiting.clear();
  }
}

function failed(fault: string): EngineError {
  return new EngineError("engine_failed", `The model cannot compute: ${fault}`);
}
