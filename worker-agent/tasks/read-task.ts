import type { z } from "zod";
import { chatRequestSchema } from "../../shared/openai/chat-request.ts";
import { classificationRequestSchema } from "../../shared/openai/classification-request.ts";
import { completionRequestSchema } from "../../shared/openai/completion-request.ts";
import { embeddingRequestSchema } from "../../shared/openai/embedding-request.ts";
import { imageRequestSchema } from "../../shared/openai/image-request.ts";
import { rerankRequestSchema } from "../../shared/openai/rerank-request.ts";
import type { TaskKind } from "../../shared/openai/task-kinds.ts";
import { transcriptionRequestSchema } from "../../shared/openai/transcription-request.ts";
import type { EngineTask } from "../engine/engine.ts";

const schemas = {
  chat: chatRequestSchema,
  completion: completionRequestSchema,
  embedding: embeddingRequestSchema,
  rerank: rerankRequestSchema,
  classification: classificationRequestSchema,
  transcription: transcriptionRequestSchema,
  image: imageRequestSchema,
} as const satisfies Record<TaskKind, z.ZodType>;

/** The consumer's request behind JSON text, or null where it is not one of its kind. */
export function readTask(kind: TaskKind, body: string): EngineTask | null {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    // The only failure of JSON.parse on a string is that the string is not JSON.
    return null;
  }
  const parsed = schemas[kind].safeParse(value);
  // The schema of a kind gives that kind's request, which the compiler cannot follow by index.
  return parsed.success ? ({ kind, request: parsed.data } as EngineTask) : null;
}
