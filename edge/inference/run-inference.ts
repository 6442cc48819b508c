import { OctoError } from "../../shared/errors.ts";
import { wrongKey } from "../authenticate.ts";
import { voidTask } from "../billing/void-task.ts";
import type { Caller, Context } from "../context.ts";
import { accountObject } from "../objects.ts";
import { dispatch } from "./dispatch.ts";
import type { InferenceRequest } from "./engine-request.ts";
import { type Plan, planTask } from "./plan-task.ts";
import { respond } from "./respond.ts";
import type { InferenceTask } from "./task.ts";

/**
 * One inference, from an authenticated request to its answer: plan, hold, dispatch to a hub, relay.
 * The hub settles what it answered; the books of what no hub answers are closed here.
 */
export async function runInference(
  ctx: Context,
  caller: Caller,
  wanted: InferenceRequest,
): Promise<Response> {
  const authenticatedMs = Date.now();
  const plan = await planTask(ctx, caller, wanted);
  const plannedMs = Date.now();
  const task = await hold(ctx, plan);
  const heldMs = Date.now();

  const dispatched = await dispatch(ctx, task, plan.hubIds).catch((error: unknown) => {
    ctx.waitUntil(voidTask(ctx, task, "internal"));
    throw error;
  });
  if (dispatched.kind === "unplaced") {
    ctx.waitUntil(voidTask(ctx, dispatched.task, dispatched.failure.code));
  }
  if (dispatched.kind !== "answer") {
    const { code, message, param, retryAfterS } = dispatched.failure;
    throw new OctoError(code, message, {
      ...(param === null ? {} : { param }),
      ...(retryAfterS === null ? {} : { retryAfterS }),
    });
  }

  const { response, ended } = respond(ctx, { wanted, task }, dispatched, {
    authMs: authenticatedMs - ctx.startedMs,
    routeMs: plannedMs - authenticatedMs,
    holdMs: heldMs - plannedMs,
    firstTokenMs: Date.now() - heldMs,
  });
  // A hub lost in mid-answer settles nothing any more: the consumer pays nothing for a broken
  // answer.
  ctx.waitUntil(
    ended.then((end) => (end === "hub lost" ? voidTask(ctx, task, "unavailable") : undefined)),
  );
  return response;
}

/** Sets aside the most the task can cost. The Account has the last word on the key as well. */
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
