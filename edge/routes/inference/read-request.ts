import { chatRequestSchema } from "../../../shared/openai/chat-request.ts";
import { classificationRequestSchema } from "../../../shared/openai/classification-request.ts";
import { completionRequestSchema } from "../../../shared/openai/completion-request.ts";
import { chatDemands, completionDemands } from "../../../shared/openai/demands.ts";
import { embeddingRequestSchema } from "../../../shared/openai/embedding-request.ts";
import { readPlainChat } from "../../../shared/openai/plain-chat.ts";
import { imageRequestSchema } from "../../../shared/openai/image-request.ts";
import { rerankRequestSchema } from "../../../shared/openai/rerank-request.ts";
import {
  classificationDemands,
  embeddingDemands,
  imageDemands,
  rerankDemands,
  transcriptionDemands,
} from "../../../shared/openai/result-demands.ts";
import type { TaskKind } from "../../../shared/openai/task-kinds.ts";
import { transcriptionRequestSchema } from "../../../shared/openai/transcription-request.ts";
import type { InferenceRequest } from "../../inference/engine-request.ts";
import { checked } from "../read-body.ts";

/** A body as a request of its kind, with what it demands; throws what is wrong with it. */
export function readRequest(kind: TaskKind, body: unknown): InferenceRequest {
  const whole = "The body";
  switch (kind) {
    case "chat": {
      const request = readPlainChat(body) ?? checked(body, chatRequestSchema, whole);
      return { kind, request, demands: chatDemands(request) };
    }
    case "completion": {
      const request = checked(body, completionRequestSchema, whole);
      return { kind, request, demands: completionDemands(request) };
    }
    case "embedding": {
      const request = checked(body, embeddingRequestSchema, whole);
      return { kind, request, demands: embeddingDemands(request) };
    }
    case "rerank": {
      const request = checked(body, rerankRequestSchema, whole);
      return { kind, request, demands: rerankDemands(request) };
    }
    case "classification": {
      const request = checked(body, classificationRequestSchema, whole);
      return { kind, request, demands: classificationDemands(request) };
    }
    case "transcription": {
      const request = checked(body, transcriptionRequestSchema, whole);
      return { kind, request, demands: transcriptionDemands(request) };
    }
    case "image": {
      const request = checked(body, imageRequestSchema, whole);
      return { kind, request, demands: imageDemands(request) };
    }
  }
}
