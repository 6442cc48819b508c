import type { InferenceTask } from "../inference/task.ts";

/** A streamed answer that is over, as it was sent. */
export interface KeptAnswer {
  readonly task: InferenceTask;
  readonly text: string;
}

/** A client that lost its connection has so long to ask for the rest. */
export const keptMs = 5 * 60_000;
/**
 * What all of them may take: at a kilobyte an answer this is the last sixteen thousand, or all of
 * five minutes at 50 a second.
 */
const charsMax = 16 * 1024 * 1024;

/** Answers that are over, for whoever lost the connection before the end: the oldest go first. */
export class KeptAnswers {
  readonly #byTaskId = new Map<string, KeptAnswer & { readonly endedMs: number }>();
  #chars = 0;

  get size(): number {
    return this.#byTaskId.size;
  }

  add(answer: KeptAnswer, nowMs: number): void {
    this.#byTaskId.set(answer.task.id, { ...answer, endedMs: nowMs });
    this.#chars += answer.text.length;
    this.forget(nowMs);
  }

  /** The answer, while it is kept. */
  find(taskId: string, nowMs: number): KeptAnswer | null {
    this.forget(nowMs);
    return this.#byTaskId.get(taskId) ?? null;
  }

  forget(nowMs: number): void {
    for (const [taskId, { text, endedMs }] of this.#byTaskId) {
      if (this.#chars <= charsMax && nowMs - endedMs < keptMs) return;
      this.#byTaskId.delete(taskId);
      this.#chars -= text.length;
    }
  }
}
