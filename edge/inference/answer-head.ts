import { assert } from "../../shared/assert.ts";
import { type GeneratedKind, isGenerated, type TaskKind } from "../../shared/openai/task-kinds.ts";

/** What every chunk and every whole answer of one task begins with. */
export interface AnswerHead {
  readonly kind: GeneratedKind;
  readonly taskId: string;
  readonly createdMs: number;
  readonly model: string;
  readonly digest: string;
}

/** The kind of a task whose answer is a text: only those are streamed. */
export function generatedKind({ kind }: { readonly kind: TaskKind }): GeneratedKind {
  assert(isGenerated(kind), `only texts are streamed, not the answer to a task of kind ${kind}`);
  return kind;
}

/** OpenAI's id of an answer, derived from the task's so that either finds the other. */
export function answerId(head: AnswerHead): string {
  const suffix = head.taskId.slice("tsk_".length);
  return head.kind === "chat" ? `chatcmpl-${suffix}` : `cmpl-${suffix}`;
}

/** Answers with the same fingerprint came from the same weights. */
export function fingerprint(head: AnswerHead): string {
  return `fp_${head.digest.slice(0, 12)}`;
}

/** Seconds since 1970, as OpenAI's `created`. */
export function createdSeconds(head: AnswerHead): number {
  return Math.floor(head.createdMs / 1000);
}

export interface AnswerUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

export function answerUsage(counts: {
  readonly promptTokens: number;
  readonly completionTokens: number;
}): AnswerUsage {
  return {
    prompt_tokens: counts.promptTokens,
    completion_tokens: counts.completionTokens,
    total_tokens: counts.promptTokens + counts.completionTokens,
  };
}
