import { type ErrorCode, OctoError } from "../../shared/errors.ts";
import type { TaskClosing } from "../billing/closing.ts";
import type { Caller, Context } from "../context.ts";
import { wrongKey } from "../authenticate.ts";
import { isReset } from "../http-errors.ts";
import type { AnswerSource, RunResult } from "../hub/answers.ts";
import { defaultHubConfig } from "../hub/hub-config.ts";
import { accountObject, hubObject } from "../objects.ts";
import { type InferenceRequest, type Plan, planTask } from "./plan-task.ts";
import { relay } from "./relay.ts";
import type { InferenceTask } from "./task.ts";
import { wholeAnswer } from "./whole-answer.ts";

/** Milliseconds of each stage of one request, for `server-timing`. */
interface Timing {
  readonly authMs: number;
  holdMs: number;
  routeMs: number;
  firstTokenMs: number;
}

/**
 * One inference, from an authenticated request to its answer: plan, hold, run on a hub, relay. The
 * hub settles; the front Worker closes the books itself only where the hub is lost.
 */
export async function runInference(
  ctx: Context,
  caller: Caller,
  wanted: InferenceRequest,
): Promise<Response> {
  const timing: Timing = {
    authMs: Date.now() - ctx.startedMs,
    holdMs: 0,
    routeMs: 0,
    firstTokenMs: 0,
  };
  const planningMs = Date.now();
  const plan = await planTask(ctx, caller, wanted);
  const holdingMs = Date.now();
  timing.routeMs = holdingMs - planningMs;
  const task = await hold(ctx, plan);
  const runningMs = Date.now();
  timing.holdMs = runningMs - holdingMs;
  const result = await dispatch(ctx, task, plan.hubIds);
  timing.firstTokenMs = Date.now() - runningMs;
  switch (result.kind) {
    case "failed": {
      const { code, message, param, retryAfterS } = result;
      throw new OctoError(code, message, {
        ...(param === null ? {} : { param }),
        ...(retryAfterS === null ? {} : { retryAfterS }),
      });
    }
    case "whole": {
      const { model, digest } = result.source;
      const { kind, id: taskId, createdMs } = task;
      const answer = wholeAnswer({ kind, taskId, createdMs, model, digest }, result.answer);
      const headers = answerHeaders(ctx, task, result.source, timing);
      headers.set("content-type", "application/json");
      return new Response(JSON.stringify(answer), { headers });
    }
    case "stream": {
      const { body, ended } = relay(ctx, task, result.stream);
      // A hub lost in mid-answer settles nothing any more: the consumer pays nothing for a broken
      // answer.
      ctx.waitUntil(
        ended.then((end) => (end === "hub lost" ? voidTask(ctx, task, "unavailable") : undefined)),
      );
      const headers = answerHeaders(ctx, task, result.source, timing);
      headers.set("content-type", "text/event-stream; charset=utf-8");
      headers.set("cache-control", "no-cache");
      return new Response(body, { headers });
    }
  }
}

async function hold(ctx: Context, plan: Plan): Promise<InferenceTask> {
  const { terms } = plan.task;
  const held = await accountObject(ctx.env, terms.account).hold(terms);
  if (held.kind === "held") return { ...plan.task, ticket: held.ticket };
  if (held.code === "invalid_api_key") throw wrongKey();
  const hint =
    held.code === "insufficient_quota"
      ? "; add credit, or send a smaller max_completion_tokens"
      : "";
  throw new OctoError(held.code, `Cannot start task ${terms.task}: ${held.reason}${hint}`);
}

/**
 * Asks the hubs in turn. Nothing has reached the consumer yet, so a hub that dies is one more that
 * cannot serve.
 */
async function dispatch(
  ctx: Context,
  held: InferenceTask,
  hubIds: readonly string[],
): Promise<RunResult> {
  let task = held;
  let failure: FailedRun = lostHub(0);
  // A hub that was lost is asked once more after the others: it is back at once, and its workers
  // soon after.
  const lost: string[] = [];
  for (const hubId of lostOnceMore(hubIds, lost)) {
    let result: RunResult;
    try {
      result = await runOn(ctx, task, hubId);
    } catch (error) {
      if (!isReset(error)) throw error;
      lost.push(hubId);
      // Attempts on the lost hub may have used the first numbers.
      task = { ...task, attemptsBefore: task.attemptsBefore + defaultHubConfig.attemptsMax };
      failure = lostHub(task.attemptsBefore);
      continue;
    }
    if (result.kind !== "failed" || result.record === null) return result;
    failure = result;
    const { attempts: attemptsBefore, record } = result;
    task = { ...task, attemptsBefore, earlierAttempts: record.attempts };
    if (result.code !== "no_capacity" || ctx.signal.aborted) break;
  }
  ctx.waitUntil(voidTask(ctx, task, failure.code));
  return failure;
}

function* lostOnceMore(hubIds: readonly string[], lost: readonly string[]): Generator<string> {
  yield* hubIds;
  yield* lost.slice(0, 1);
}

async function runOn(ctx: Context, task: InferenceTask, hubId: string): Promise<RunResult> {
  const hub = hubObject(ctx.env, hubId);
  const leave = () => ctx.waitUntil(hub.cancel(task.id));
  ctx.signal.addEventListener("abort", leave, { once: true });
  try {
    return await hub.run(task);
  } finally {
    ctx.signal.removeEventListener("abort", leave);
  }
}

function lostHub(attempts: number): FailedRun {
  return {
    kind: "failed",
    code: "unavailable",
    message: "The part of the network that has this model was restarted; try again",
    param: null,
    retryAfterS: 1,
    attempts,
    record: null,
  };
}

type FailedRun = Extract<RunResult, { kind: "failed" }>;

/** Closes the books of a task that no hub will settle. Twice is a no-op, and so is being late. */
async function voidTask(ctx: Context, task: InferenceTask, errorCode: ErrorCode): Promise<void> {
  const closing: TaskClosing = {
    kind: "void",
    terms: task.terms,
    record: {
      digest: null,
      class: task.class,
      finish: "failed",
      errorCode,
      route: null,
      firstTokenMs: null,
      endedMs: Date.now(),
      attempts: task.earlierAttempts,
      receipt: null,
    },
  };
  await accountObject(ctx.env, task.accountId).close([closing]);
}

function answerHeaders(
  ctx: Context,
  task: InferenceTask,
  source: AnswerSource,
  timing: Timing,
): Headers {
  const stages = [
    `auth;dur=${timing.authMs}`,
    `route;dur=${timing.routeMs}`,
    `hold;dur=${timing.holdMs}`,
    `first_token;dur=${timing.firstTokenMs}`,
  ];
  return new Headers({
    "x-octo-task": task.id,
    "x-octo-worker": source.workerId,
    "x-octo-model-digest": source.digest,
    "x-octo-region": source.region,
    "x-octo-attempts": String(source.attempts),
    "x-request-id": ctx.requestId,
    "server-timing": stages.join(", "),
  });
}
