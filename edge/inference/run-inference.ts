import { OctoError } from "../../shared/errors.ts";
import { voidTask } from "../billing/void-task.ts";
import type { Caller, Context } from "../context.ts";
import { dispatch, type Dispatched } from "./dispatch.ts";
import type { InferenceRequest } from "./engine-request.ts";
import { isUntaken } from "./hold-own.ts";
import type { HeldTask } from "./hold-plan.ts";
import { holdTask } from "./hold-task.ts";
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
  held: HeldTask,
  authenticatedMs: number,
): Promise<Response> {
  const { task, hubIds, rates, plannedMs, over } = held;
  const heldMs = Date.now();

  const dispatched = await dispatch(ctx, task, hubIds).catch((error: unknown) => {
    over();
    ctx.waitUntil(voidTask(ctx, task, "internal"));
    throw error;
  });
  if (dispatched.kind !== "answer") {
    over();
    const error = errorOf(dispatched, held);
    if (dispatched.kind === "unplaced") {
      ctx.waitUntil(voidTask(ctx, dispatched.task, error.code));
    }
    throw error;
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

/** What a consumer is told where nothing came of a task. */
function errorOf(
  { failure }: Exclude<Dispatched, { readonly kind: "answer" }>,
  { refused }: HeldTask,
): OctoError {
  const { code, message, param, retryAfterS } = failure;
  if (refused !== null && isUntaken(failure)) return refused(message);
  return new OctoError(code, message, {
    ...(param === null ? {} : { param }),
    ...(retryAfterS === null ? {} : { retryAfterS }),
  });
}
