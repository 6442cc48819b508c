import { assert } from "../../../shared/assert.ts";

/** A streamed answer that is over, as it was sent. */
export interface KeptAnswer {
  readonly taskId: string;
  readonly accountId: string;
  readonly text: string;
}

/** A client that lost its connection has so long to ask for the rest. */
const keptMs = 5 * 60_000;
/**
 * What the logs of all answers may take, running or over: a quarter of an object's 128 MB, where
 * every character takes a byte.
 */
const charsMax = 32 * 1024 * 1024;

/** Answers that are over, for whoever lost the connection before the end: the oldest go first. */
export class KeptAnswers {
  readonly #byTaskId = new Map<string, KeptAnswer & { readonly endedMs: number }>();
  /** Of those that are over, and of those that are still made. */
  #keptChars = 0;
  #runningChars = 0;

  get size(): number {
    return this.#byTaskId.size;
  }

  /** Room for more of a running answer's log; false where all of them together have too much. */
  reserve(chars: number): boolean {
    if (this.#runningChars + chars > charsMax) return false;
    this.#runningChars += chars;
    this.#makeRoom();
    return true;
  }

  /** A running answer's log is given up, or is over and added. */
  release(chars: number): void {
    this.#runningChars -= chars;
    assert(this.#runningChars >= 0, "no more is released than was reserved");
  }

  add(answer: KeptAnswer, nowMs: number): void {
    this.#byTaskId.set(answer.taskId, { ...answer, endedMs: nowMs });
    this.#keptChars += answer.text.length;
    this.forget(nowMs);
  }

  /** The answer, while it is kept. */
  find(taskId: string, nowMs: number): KeptAnswer | null {
    this.forget(nowMs);
    return this.#byTaskId.get(taskId) ?? null;
  }

  forget(nowMs: number): void {
    for (const { taskId, endedMs } of this.#byTaskId.values()) {
      if (nowMs - endedMs < keptMs) break;
      this.#drop(taskId);
    }
    this.#makeRoom();
  }

  #makeRoom(): void {
    for (const taskId of this.#byTaskId.keys()) {
      if (this.#keptChars + this.#runningChars <= charsMax) return;
      this.#drop(taskId);
    }
  }

  #drop(taskId: string): void {
    this.#keptChars -= this.#byTaskId.get(taskId)?.text.length ?? 0;
    this.#byTaskId.delete(taskId);
  }
}
