import type { RateLimits } from "../billing/limits/rate-limits.ts";
import type { Context } from "../context.ts";
import type { AnswerSource } from "../hub/answers/answers.ts";
import { rateHeaders } from "../rate-headers.ts";
import type { Dispatched } from "./dispatch.ts";
import { formatEventId } from "./event-id.ts";
import { type InferenceRequest, isGeneration } from "./engine-request.ts";
import { relay, type RelayEnd } from "./relay.ts";
import { resultAnswer, type ResultBody } from "./results/result-answer.ts";
import type { InferenceTask } from "./task.ts";
import { type GatheredAnswer, wholeAnswer } from "./whole-answer.ts";

type Answered = Extract<Dispatched, { kind: "answer" }>;

/** Milliseconds of each stage of one request. */
export interface Timing {
  readonly authMs: number;
  readonly routeMs: number;
  readonly holdMs: number;
  readonly firstTokenMs: number;
}

/** The HTTP answer to a task that a worker answers, and how its relay ends. */
export function respond(
  ctx: Context,
  asked: {
    readonly wanted: InferenceRequest;
    readonly task: InferenceTask;
    readonly rates: RateLimits | null;
  },
  answer: Answered,
  timing: Timing,
): { readonly response: Response; readonly ended: Promise<RelayEnd> } {
  const { result } = answer;
  const { wanted, task } = asked;
  const headers = {
    ...answerHeaders(ctx, task, answer, timing),
    ...rateHeaders(asked.rates),
  };
  if (result.kind === "whole") {
    const { body, contentType } = wholeBody(wanted, task, result.source, result.answer);
    headers["content-type"] = contentType;
    return { response: new Response(body, { headers }), ended: Promise.resolve("complete") };
  }
  headers["content-type"] = "text/event-stream; charset=utf-8";
  headers["cache-control"] = "no-cache";
  if (result.kind === "events") {
    return {
      response: new Response(result.events, { headers }),
      ended: Promise.resolve("complete"),
    };
  }
  const { body, ended } = relay(ctx, task, result.stream);
  return { response: new Response(body, { headers }), ended };
}

function wholeBody(
  wanted: InferenceRequest,
  task: InferenceTask,
  { model, digest }: AnswerSource,
  answer: GatheredAnswer,
): ResultBody {
  const { id: taskId, createdMs } = task;
  if (isGeneration(wanted)) {
    const head = { kind: wanted.kind, taskId, createdMs, model, digest };
    return { body: JSON.stringify(wholeAnswer(head, answer)), contentType: "application/json" };
  }
  const text = answer.parts.map((part) => part.text ?? "").join("");
  return resultAnswer(wanted, { taskId, createdMs, model, counts: answer.counts }, text);
}

function answerHeaders(
  ctx: Context,
  task: InferenceTask,
  { hubId, result: { source } }: Answered,
  timing: Timing,
): Record<string, string> {
  const stages = [
    `auth;dur=${timing.authMs}`,
    `route;dur=${timing.routeMs}`,
    `hold;dur=${timing.holdMs}`,
    `first_token;dur=${timing.firstTokenMs}`,
  ];
  return {
    "x-octo-task": task.id,
    "x-octo-strategy": task.routing.strategy,
    ...(source === null ? {} : sourceHeaders(source)),
    ...(task.streamed ? { "x-octo-event-id": formatEventId({ hubId, place: 0 }) } : {}),
    "x-request-id": ctx.requestId,
    "server-timing": stages.join(", "),
  };
}

function sourceHeaders(source: AnswerSource): Record<string, string> {
  return {
    "x-octo-worker": source.workerId,
    "x-octo-model-digest": source.digest,
    "x-octo-region": source.region,
    "x-octo-attempts": String(source.attempts),
  };
}
