import { OctoError } from "../../shared/errors.ts";
import { assertMay, renewedCaller, wrongKey } from "../authenticate.ts";
import { type SetAside, setAside } from "../billing/set-aside.ts";
import { voidTask } from "../billing/void-task.ts";
import type { Caller, Context } from "../context.ts";
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
  const held = await hold(ctx, caller, plan);
  if (held.kind === "changed") {
    // Planned anew by what the key is now; again only where it has changed again.
    const renewed = await renewedCaller(ctx, plan.task.keyId, held.changes);
    assertMay(renewed, "inference");
    return runInference(ctx, renewed, wanted);
  }
  const { task, over } = held;
  const heldMs = Date.now();

  const dispatched = await dispatch(ctx, task, plan.hubIds).catch((error: unknown) => {
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

  const { response, ended } = respond(ctx, { wanted, task }, dispatched, {
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

type Held =
  | { readonly kind: "held"; readonly task: InferenceTask; readonly over: () => void }
  | Extract<SetAside, { kind: "changed" }>;

/**
 * Sets aside the most the task can cost; `over` is told when it runs no more. The Account has the
 * last word on the key as well, at each hold and before each lease.
 */
async function hold(ctx: Context, caller: Caller, plan: Plan): Promise<Held> {
  const held = await setAside(ctx, plan.task.terms, {
    isLeasable: !plan.task.resume,
    keyChanges: caller.key?.changes ?? 0,
  });
  if (held.kind === "held") {
    const { terms, ticket, ended: over } = held;
    return { kind: "held", task: { ...plan.task, terms, ticket }, over };
  }
  if (held.kind === "changed") return held;
  if (held.code === "invalid_api_key") throw wrongKey();
  const hint =
    held.code === "insufficient_quota"
      ? "; add credit, or send a smaller max_completion_tokens"
      : "";
  throw new OctoError(held.code, `Cannot start task ${plan.task.id}: ${held.reason}${hint}`);
}
