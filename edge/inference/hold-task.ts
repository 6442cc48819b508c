import { assert } from "../../shared/assert.ts";
import { OctoError } from "../../shared/errors.ts";
import { assertMay, renewedCaller, wrongKey } from "../authenticate.ts";
import type { Refused } from "../billing/account-state.ts";
import type { RateLimits } from "../billing/limits/rate-limits.ts";
import { type SetAside, setAside } from "../billing/set-aside.ts";
import type { Caller, Context } from "../context.ts";
import { rateHeaders } from "../rate-headers.ts";
import { type InferenceRequest, isGeneration } from "./engine-request.ts";
import { type Plan, planTask } from "./plan-task.ts";
import type { InferenceTask } from "./task.ts";

/** A task whose credit is set aside. */
export interface HeldTask {
  readonly task: InferenceTask;
  readonly hubIds: readonly string[];
  readonly rates: RateLimits | null;
  readonly plannedMs: number;
  /** Is to be told when it runs no more. */
  readonly over: () => void;
}

/**
 * Plans a task and sets aside the most it can cost. The Account has the last word on the key as
 * well, at each hold and before each lease; and on limits, of which the front Worker knows nothing
 * before. A text that named no length gets the longest that is allowed.
 */
export async function holdTask(
  ctx: Context,
  caller: Caller,
  wanted: InferenceRequest,
): Promise<HeldTask> {
  const plan = await planTask(ctx, caller, wanted);
  const held = await hold(ctx, caller, plan);
  if (held.kind === "held") return held.task;
  if (held.kind === "changed") {
    // Planned anew by what the key is now; again only where it has changed again.
    const renewed = await renewedCaller(ctx, plan.task.keyId, held.changes);
    assertMay(renewed, "inference");
    return holdTask(ctx, renewed, wanted);
  }
  const bounded = boundedRequest(wanted, held.limit?.completionTokensMax ?? null);
  if (bounded === null) throw refusal(plan, held);
  const again = await planTask(ctx, caller, bounded);
  const heldNow = await hold(ctx, caller, again);
  if (heldNow.kind === "held") return heldNow.task;
  if (heldNow.kind === "changed") return holdTask(ctx, caller, wanted);
  throw refusal(again, heldNow);
}

/** Sets aside what one planned task can cost, with its Account alone; refused where it has not. */
export async function holdPlan(ctx: Context, caller: Caller, plan: Plan): Promise<HeldTask> {
  const held = await hold(ctx, caller, plan, false);
  if (held.kind === "held") return held.task;
  assert(held.kind === "refused", "only the settings of API keys change");
  throw refusal(plan, held);
}

type Held =
  | { readonly kind: "held"; readonly task: HeldTask }
  | Exclude<SetAside, { readonly kind: "held" }>;

async function hold(
  ctx: Context,
  caller: Caller,
  plan: Plan,
  isLeasable = !plan.task.resume,
): Promise<Held> {
  const plannedMs = Date.now();
  const { task, hubIds, tokensMax, alsoNamed } = plan;
  const held = await setAside(ctx, {
    terms: task.terms,
    tokensMax,
    alsoNamed,
    isLeasable,
    keyChanges: caller.key?.changes ?? 0,
  });
  if (held.kind !== "held") return held;
  const { terms, ticket, rates, ended: over } = held;
  return {
    kind: "held",
    task: { task: { ...task, terms, ticket }, hubIds, rates, plannedMs, over },
  };
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

function refusal({ task }: Plan, { code, reason, limit }: Refused): OctoError {
  if (code === "invalid_api_key") return wrongKey();
  const isCreditShort = code === "insufficient_quota" && limit === undefined;
  const hint = isCreditShort ? "; add credit, or send a smaller max_completion_tokens" : "";
  const { param = null, retryAfterMs = null, rates = null } = limit ?? {};
  return new OctoError(code, `Cannot start task ${task.id}: ${reason}${hint}`, {
    headers: code === "rate_limit_exceeded" ? rateHeaders(rates) : {},
    ...(param === null ? {} : { param }),
    ...(retryAfterMs === null ? {} : { retryAfterS: Math.ceil(retryAfterMs / 1_000) }),
  });
}
