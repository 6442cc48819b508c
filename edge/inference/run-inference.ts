import { OctoError } from "../../shared/errors.ts";
import { voidTask } from "../billing/void-task.ts";
import type { Caller, Context } from "../context.ts";
import { dispatch } from "./dispatch.ts";
import type { InferenceRequest } from "./engine-request.ts";
import { type HeldTask, holdTask } from "./hold-task.ts";
import { respond } from "./respond.ts";

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
  return runHeld(ctx, wanted, await holdTask(ctx, caller, wanted), authenticatedMs);
}

/** A task whose credit is set aside, from there to its answer. Throws where nothing came of it. */
export async function runHeld(
  ctx: Context,
  wanted: InferenceRequest,
  { task, hubIds, rates, plannedMs, over }: HeldTask,
  authenticatedMs: number,
): Promise<Response> {
  const heldMs = Date.now();

  const dispatched = await dispatch(ctx, task, hubIds).catch((error: unknown) => {
    over();
    ctx.waitUntil(voidTask(ctx, task, "internal"));
    throw error;
  });
  if (dispatched.kind === "unplaced") {
    ctx.waitUntil(voidTask(ctx, dispatched.task, dispatched.failure.code));
  }
  if (dispatched.kind !== "answer") {
    over();
    const { code, message, param, retryAfterS } = dispatched.failure;
    throw new OctoError(code, message, {
      ...(param === null ? {} : { param }),
      ...(retryAfterS === null ? {} : { retryAfterS }),
    });
  }

  const { response, ended } = respond(ctx, { wanted, task, rates }, dispatched, {
    authMs: authenticatedMs - ctx.startedMs,
    routeMs: plannedMs - authenticatedMs,
    holdMs: heldMs - plannedMs,
    firstTokenMs: Date.now() - heldMs,
  });
  // A hub lost in mid-answer settles nothing any more: the consumer pays nothing for a broken
  // answer.
  ctx.waitUntil(
    ended
      .finally(over)
      .then((end) => (end === "hub lost" ? voidTask(ctx, task, "unavailable") : undefined)),
  );
  return response;
}
