import { Hono } from "hono";
import { chatRequestSchema } from "../../shared/openai/chat-request.ts";
import { completionRequestSchema } from "../../shared/openai/completion-request.ts";
import { chatDemands, completionDemands } from "../../shared/openai/demands.ts";
import type { AppEnv } from "../app-env.ts";
import { callerOf } from "../app-env.ts";
import { once } from "../inference/once.ts";
import type { InferenceRequest } from "../inference/engine-request.ts";
import { runInference } from "../inference/run-inference.ts";
import { parseBody, readText } from "./read-body.ts";

/** `POST /v1/chat/completions` and `POST /v1/completions`. */
export const inferenceRoutes = new Hono<AppEnv>()
  .post("/chat/completions", (c) =>
    answer(
      c.req.raw,
      c.get("ctx"),
      () => callerOf(c),
      (text) => {
        const request = parseBody(text, chatRequestSchema);
        return { kind: "chat", request, demands: chatDemands(request) };
      },
    ),
  )
  .post("/completions", (c) =>
    answer(
      c.req.raw,
      c.get("ctx"),
      () => callerOf(c),
      (text) => {
        const request = parseBody(text, completionRequestSchema);
        return { kind: "completion", request, demands: completionDemands(request) };
      },
    ),
  );

async function answer(
  raw: Request,
  ctx: AppEnv["Variables"]["ctx"],
  authenticated: () => Promise<Awaited<ReturnType<typeof callerOf>>>,
  parse: (text: string) => InferenceRequest,
): Promise<Response> {
  const caller = await authenticated();
  const text = await readText(raw);
  const wanted = parse(text);
  const idempotencyKey = raw.headers.get("idempotency-key");
  const run = () => runInference(ctx, caller, wanted);
  return idempotencyKey === null
    ? run()
    : once(ctx, caller, { key: idempotencyKey, request: `${raw.url}\n${text}` }, run);
}
