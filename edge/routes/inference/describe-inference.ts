import type { ErrorCode } from "../../../shared/errors.ts";
import { chatRequestSchema } from "../../../shared/openai/chat-request.ts";
import { completionRequestSchema } from "../../../shared/openai/completion-request.ts";
import { rateHeaderNames } from "../../rate-headers.ts";
import type { RouteDescription } from "../../openapi/description.ts";
import {
  chatAnswerSchema,
  chatEventSchema,
  completionAnswerSchema,
  completionEventSchema,
} from "../../openapi/openai-answers.ts";

export const inferenceErrors: readonly ErrorCode[] = [
  "unsupported_parameter",
  "context_length_exceeded",
  "insufficient_quota",
  "insufficient_scope",
  "model_not_found",
  "idempotency_conflict",
  "rate_limit_exceeded",
  "worker_failed",
  "no_capacity",
  "timeout",
];

export const inferenceHeaders = {
  "idempotency-key":
    "The same request under the same key gets the same answer for a day, and costs once",
  "payment-signature":
    "Pays for this request in a key's place, where this edge takes that: one signed transfer, " +
    "as x402 version 2 has it (`exact`, or `upto` where it is offered). A request without either " +
    "is told its price by a 402",
  "x-octo-strategy": "As `octo.strategy`, where the body does not say",
  "x-octo-max-price":
    "As `octo.max_price`: one number, or two for prompt and completion: `0.5,1.5`",
  "x-octo-region": "As `octo.region`; several with commas between them",
};

export const inferenceAnswerHeaders = {
  "x-octo-task": "The task's id: its receipts are at /api/v1/tasks/{id}",
  "x-octo-worker": "The public key of the worker that answers",
  "x-octo-model-digest": "The SHA-256 of the model's weights",
  "x-octo-region": "Where the worker is",
  "x-octo-attempts": "How many workers were tried",
  "x-octo-strategy":
    "How the worker was chosen: a strategy's name, or `weights` or `sort` where those were given",
  "x-octo-event-id": "The Last-Event-ID with which /v1/tasks/{id}/stream begins at the start",
  "payment-response":
    "Which transfer paid for it, and what credit its address has, as JSON in base64 (x402); not " +
    "with `upto`, which is settled after the answer",
  "server-timing": "Milliseconds of each stage: auth, route, hold, first_token",
  ...Object.fromEntries(
    rateHeaderNames.map((name) => [
      name,
      "What the tightest limit a minute is, has left, and when it is whole again (`1s`, `6m0s`)",
    ]),
  ),
};

const streaming =
  "With `stream: true` the answer comes as server-sent events, the last of which is `[DONE]`. " +
  "A stream that breaks off ends with an event that holds `error`, never silently.";

/** The routes of `inference.ts` that answer texts, as the document tells of them. */
export const inferenceDescriptions: readonly RouteDescription[] = [
  {
    name: "createChatCompletion",
    method: "post",
    path: "/v1/chat/completions",
    summary: "Answer a chat",
    about: `${streaming} Fields not named here are passed to workers that list them.`,
    access: "inference",
    headers: inferenceHeaders,
    body: chatRequestSchema.meta({
      id: "ChatCompletionRequest",
      examples: [{ model: "octo-tiny", messages: [{ role: "user", content: "Hello" }] }],
    }),
    answer: chatAnswerSchema,
    event: chatEventSchema,
    answerHeaders: inferenceAnswerHeaders,
    errors: inferenceErrors,
  },
  {
    name: "createCompletion",
    method: "post",
    path: "/v1/completions",
    summary: "Continue a text",
    about: streaming,
    access: "inference",
    headers: inferenceHeaders,
    body: completionRequestSchema.meta({
      id: "CompletionRequest",
      examples: [{ model: "octo-tiny", prompt: "Once upon a time" }],
    }),
    answer: completionAnswerSchema,
    event: completionEventSchema,
    answerHeaders: inferenceAnswerHeaders,
    errors: inferenceErrors,
  },
];
