import { type Context, Hono } from "hono";
import type { z } from "zod";
import { OctoError } from "../../shared/errors.ts";
import { chatRequestSchema } from "../../shared/openai/chat-request.ts";
import { classificationRequestSchema } from "../../shared/openai/classification-request.ts";
import { completionRequestSchema } from "../../shared/openai/completion-request.ts";
import { chatDemands, completionDemands } from "../../shared/openai/demands.ts";
import { embeddingRequestSchema } from "../../shared/openai/embedding-request.ts";
import { readPlainChat } from "../../shared/openai/plain-chat.ts";
import { imageRequestSchema } from "../../shared/openai/image-request.ts";
import { rerankRequestSchema } from "../../shared/openai/rerank-request.ts";
import {
  classificationDemands,
  embeddingDemands,
  imageDemands,
  rerankDemands,
  transcriptionDemands,
} from "../../shared/openai/result-demands.ts";
import { type AppEnv, callerOf } from "../app-env.ts";
import { once } from "../inference/once.ts";
import type { InferenceRequest } from "../inference/engine-request.ts";
import { runInference } from "../inference/run-inference.ts";
import { parseBody, readText } from "./read-body.ts";
import { readTranscriptionForm } from "./read-form.ts";

/** Everything that a worker answers: each route reads its request, and one path runs them all. */
export const inferenceRoutes = new Hono<AppEnv>()
  .post("/chat/completions", (c) =>
    answer(c, async (raw) => {
      const { request, text } = await readJson(raw, chatRequestSchema, readPlainChat);
      return { wanted: { kind: "chat", request, demands: chatDemands(request) }, text };
    }),
  )
  .post("/completions", (c) =>
    answer(c, async (raw) => {
      const { request, text } = await readJson(raw, completionRequestSchema);
      return { wanted: { kind: "completion", request, demands: completionDemands(request) }, text };
    }),
  )
  .post("/embeddings", (c) =>
    answer(c, async (raw) => {
      const { request, text } = await readJson(raw, embeddingRequestSchema);
      return { wanted: { kind: "embedding", request, demands: embeddingDemands(request) }, text };
    }),
  )
  .post("/rerank", (c) =>
    answer(c, async (raw) => {
      const { request, text } = await readJson(raw, rerankRequestSchema);
      return { wanted: { kind: "rerank", request, demands: rerankDemands(request) }, text };
    }),
  )
  .post("/classify", (c) =>
    answer(c, async (raw) => {
      const { request, text } = await readJson(raw, classificationRequestSchema);
      const demands = classificationDemands(request);
      return { wanted: { kind: "classification", request, demands }, text };
    }),
  )
  .post("/audio/transcriptions", (c) =>
    answer(c, async (raw) => {
      const request = await readTranscriptionForm(raw);
      const demands = transcriptionDemands(request);
      // The form itself has another boundary each time it is sent.
      const text = () => JSON.stringify(request);
      return { wanted: { kind: "transcription", request, demands }, text };
    }),
  )
  .post("/images/generations", (c) =>
    answer(c, async (raw) => {
      const { request, text } = await readJson(raw, imageRequestSchema);
      return { wanted: { kind: "image", request, demands: imageDemands(request) }, text };
    }),
  );

/**
 * A request as it was read; its text tells it from others under the same idempotency key, and is
 * made for that alone where it would be a copy of a recording.
 */
interface ReadRequest {
  readonly wanted: InferenceRequest;
  readonly text: string | (() => string);
}

async function readJson<T>(
  raw: Request,
  schema: z.ZodType<T>,
  readPlain?: (value: unknown) => T | null,
) {
  const type = raw.headers.get("content-type") ?? "";
  if (/^multipart\//i.test(type)) {
    throw new OctoError("invalid_request", "Send JSON as the body; it is a form");
  }
  const text = await readText(raw);
  return { request: parseBody(text, schema, readPlain), text };
}

async function answer(
  c: Context<AppEnv>,
  read: (raw: Request) => Promise<ReadRequest>,
): Promise<Response> {
  const caller = await callerOf(c);
  const { raw } = c.req;
  const { wanted, text } = await read(raw);
  const idempotencyKey = raw.headers.get("idempotency-key");
  const ctx = c.get("ctx");
  const run = () => runInference(ctx, caller, wanted);
  if (idempotencyKey === null) return run();
  const told = typeof text === "string" ? text : text();
  return once(ctx, caller, { key: idempotencyKey, request: `${raw.url}\n${told}` }, run);
}
