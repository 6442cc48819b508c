import { type Context, Hono } from "hono";
import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { transcriptionDemands } from "../../../shared/openai/result-demands.ts";
import type { TaskKind } from "../../../shared/openai/task-kinds.ts";
import { assertMay } from "../../authenticate.ts";
import { type AppEnv, callerOf } from "../../app-env.ts";
import { once } from "../../inference/once.ts";
import type { InferenceRequest } from "../../inference/engine-request.ts";
import { runInference } from "../../inference/run-inference.ts";
import { runPurchased } from "../../inference/run-purchased.ts";
import { unlessRefused } from "../../rates/count-calls.ts";
import { parseBody, readText } from "../read-body.ts";
import { readGuest } from "./read-guest.ts";
import { readTranscriptionForm } from "./read-form.ts";
import { readRequest } from "./read-request.ts";
import { optionsInHeaders, withHeaders } from "./routing-headers.ts";

/** Everything that a worker answers: each route reads its request, and one path runs them all. */
export const inferenceRoutes = new Hono<AppEnv>()
  .post("/chat/completions", (c) => answer(c, (raw) => readJson(raw, "chat")))
  .post("/completions", (c) => answer(c, (raw) => readJson(raw, "completion")))
  .post("/embeddings", (c) => answer(c, (raw) => readJson(raw, "embedding")))
  .post("/rerank", (c) => answer(c, (raw) => readJson(raw, "rerank")))
  .post("/classify", (c) => answer(c, (raw) => readJson(raw, "classification")))
  .post("/audio/transcriptions", (c) =>
    answer(c, async (raw) => {
      const request = await readTranscriptionForm(raw);
      const demands = transcriptionDemands(request);
      // The form itself has another boundary each time it is sent.
      const text = () => JSON.stringify(request);
      return { wanted: { kind: "transcription", request, demands }, text };
    }),
  )
  .post("/images/generations", (c) => answer(c, (raw) => readJson(raw, "image")));

/**
 * A request as it was read; its text tells it from others under the same idempotency key, and is
 * made for that alone where it would be a copy of a recording.
 */
interface ReadRequest {
  readonly wanted: InferenceRequest;
  readonly text: string | (() => string);
}

async function readJson(raw: Request, kind: TaskKind): Promise<ReadRequest> {
  const type = raw.headers.get("content-type") ?? "";
  if (/^multipart\//i.test(type)) {
    throw new OctoError("invalid_request", "Send JSON as the body; it is a form");
  }
  const text = await readText(raw);
  return { wanted: readRequest(kind, parseBody(text, z.unknown())), text };
}

async function answer(
  c: Context<AppEnv>,
  read: (raw: Request) => Promise<ReadRequest>,
): Promise<Response> {
  const ctx = c.get("ctx");
  const { raw } = c.req;
  const guest = await unlessRefused(ctx, () => readGuest(ctx, raw.headers));
  if (guest !== null) return runPurchased(ctx, guest, (await readRouted(raw, read)).wanted);
  const caller = await callerOf(c);
  assertMay(caller, "inference");
  const { wanted, text, headers } = await readRouted(raw, read);
  const idempotencyKey = raw.headers.get("idempotency-key");
  const run = () => runInference(ctx, caller, wanted);
  if (idempotencyKey === null) return run();
  const told = typeof text === "string" ? text : text();
  const routing = Object.keys(headers).length === 0 ? "" : `\n${JSON.stringify(headers)}`;
  const request = `${raw.url}\n${told}${routing}`;
  return once(ctx, caller, { key: idempotencyKey, request, wanted }, run);
}

/** A request with what its headers ask of its routing. */
async function readRouted(raw: Request, read: (raw: Request) => Promise<ReadRequest>) {
  const headers = optionsInHeaders((name) => raw.headers.get(name));
  const { wanted, text } = await read(raw);
  return { wanted: withHeaders(wanted, headers), text, headers };
}
