import type { z } from "zod";
import { chatRequestSchema } from "../../shared/openai/chat-request.ts";
import { classificationRequestSchema } from "../../shared/openai/classification-request.ts";
import { completionRequestSchema } from "../../shared/openai/completion-request.ts";
import { embeddingRequestSchema } from "../../shared/openai/embedding-request.ts";
import { imageRequestSchema } from "../../shared/openai/image-request.ts";
import { rerankRequestSchema } from "../../shared/openai/rerank-request.ts";
import type { TaskKind } from "../../shared/openai/task-kinds.ts";
import { transcriptionRequestSchema } from "../../shared/openai/transcription-request.ts";
import { jsonOrNull } from "../../shared/json-or-null.ts";
import { type ContinuedAnswer, continuedAnswerSchema } from "../../shared/protocol/task.ts";
import type { TaskOffer } from "../../shared/protocol/task.ts";
import { type EngineTask, isGenerateTask } from "../engine/engine.ts";

const schemas = {
  chat: chatRequestSchema,
  completion: completionRequestSchema,
  embedding: embeddingRequestSchema,
  rerank: rerankRequestSchema,
  classification: classificationRequestSchema,
  transcription: transcriptionRequestSchema,
  image: imageRequestSchema,
} as const satisfies Record<TaskKind, z.ZodType>;

/**
 * The task of an offer whose answer another worker began, where it has a prefix. Null where either
 * is not of its kind, and for documents, which nobody can go on from.
 */
export function readContinuedTask(
  offer: Pick<TaskOffer, "kind" | "prefix_parts">,
  body: string,
  prefix: string,
): EngineTask | null {
  const task = readTask(offer.kind, body);
  if (task === null || offer.prefix_parts === undefined) return task;
  const read = readPrefix(prefix);
  if (read === null || !isGenerateTask(task)) return null;
  return { ...task, prefix: { text: read.text, tokenIds: read.token_ids } };
}

function readPrefix(text: string): ContinuedAnswer | null {
  const parsed = continuedAnswerSchema.safeParse(jsonOrNull(text));
  return parsed.success ? parsed.data : null;
}

/** The text that an attempt with this prefix went on from; null where it began the answer. */
export function prefixTextOf(prefix: string): string | null {
  return prefix === "" ? null : (readPrefix(prefix)?.text ?? null);
}

/** The consumer's request behind JSON text, or null where it is not one of its kind. */
export function readTask(kind: TaskKind, body: string): EngineTask | null {
  const parsed = schemas[kind].safeParse(jsonOrNull(body));
  // The schema of a kind gives that kind's request, which the compiler cannot follow by index.
  return parsed.success ? ({ kind, request: parsed.data } as EngineTask) : null;
}
