import { assertMay, renewedCaller } from "../authenticate.ts";
import type { Caller, Context } from "../context.ts";
import { type InferenceRequest, isGeneration } from "./engine-request.ts";
import { holdOwn } from "./hold-own.ts";
import { type HeldTask, tryHold } from "./hold-plan.ts";
import { planTask } from "./plan-task.ts";

/**
 * Plans a task and sets aside the most it can cost. The Account has the last word on the key as
 * well, at each hold and before each lease; and on limits, of which the front Worker knows nothing
 * before. A text that named no length gets the longest that is allowed; what there is no credit
 * for may still go to own workers.
 */
export async function holdTask(
  ctx: Context,
  caller: Caller,
  wanted: InferenceRequest,
): Promise<HeldTask> {
  let plan = await planTask(ctx, caller, wanted);
  let held = await tryHold(ctx, caller, plan);
  let asked = wanted;
  if (held.kind === "refused") {
    const bounded = boundedRequest(wanted, held.limit?.completionTokensMax ?? null);
    if (bounded !== null) {
      asked = bounded;
      plan = await planTask(ctx, caller, asked);
      held = await tryHold(ctx, caller, plan);
    }
  }
  if (held.kind === "refused") {
    held = await holdOwn(ctx, caller, { wanted: asked, plan, why: held });
  }
  if (held.kind === "held") return held.task;
  // Planned anew by what the key is now; again only where it has changed again.
  const renewed = await renewedCaller(ctx, plan.task.keyId, held.changes);
  assertMay(renewed, "inference");
  return holdTask(ctx, renewed, wanted);
}

/** The request as if it had asked for at most so many tokens; null where it said how many. */
function boundedRequest(
  wanted: InferenceRequest,
  completionTokensMax: number | null,
): InferenceRequest | null {
  if (completionTokensMax === null || !isGeneration(wanted)) return null;
  // A plain completion has a length of its own where it names none.
  if (wanted.kind !== "chat") return null;
  const { max_completion_tokens: most, max_tokens: mostBefore, n } = wanted.request;
  const tokens = Math.floor(completionTokensMax / (n ?? 1));
  if ((most ?? mostBefore ?? null) !== null || tokens === 0) return null;
  return { ...wanted, request: { ...wanted.request, max_completion_tokens: tokens } };
}
