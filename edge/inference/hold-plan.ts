import { assert } from "../../shared/assert.ts";
import { OctoError } from "../../shared/errors.ts";
import { wrongKey } from "../authenticate.ts";
import type { Refused } from "../billing/account-state.ts";
import type { RateLimits } from "../billing/limits/rate-limits.ts";
import { type SetAside, setAside } from "../billing/set-aside.ts";
import type { Caller, Context } from "../context.ts";
import { rateHeaders } from "../rate-headers.ts";
import type { Plan } from "./plan-task.ts";
import type { InferenceTask } from "./task.ts";

/** A task whose credit is set aside. */
export interface HeldTask {
  readonly task: InferenceTask;
  readonly hubIds: readonly string[];
  readonly rates: RateLimits | null;
  readonly plannedMs: number;
  /** Is to be told when it runs no more. */
  readonly over: () => void;
  /**
   * Why anybody but own workers was refused, in whose place these are asked; null for a task that
   * may go to whom it was planned for.
   */
  readonly refused: ((why: string) => OctoError) | null;
}

export type Held =
  | { readonly kind: "held"; readonly task: HeldTask }
  | Exclude<SetAside, { readonly kind: "held" }>;

/** Sets aside what one planned task can cost, with its Account alone; refused where it has not. */
export async function holdPlan(ctx: Context, caller: Caller, plan: Plan): Promise<HeldTask> {
  const held = await tryHold(ctx, caller, plan, false);
  if (held.kind === "held") return held.task;
  assert(held.kind === "refused", "only the settings of API keys change");
  throw refusal(plan, held);
}

/** Sets aside what one planned task can cost, if there is that much. What is free is not leased. */
export async function tryHold(
  ctx: Context,
  caller: Caller,
  plan: Plan,
  isLeasable = !plan.task.resume && plan.task.terms.own !== true,
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
    task: { task: { ...task, terms, ticket }, hubIds, rates, plannedMs, over, refused: null },
  };
}

/** Why a task is refused; `own` is what became of asking own workers instead, which are free. */
export function refusal(
  { task }: Plan,
  { code, reason, limit }: Refused,
  own: string | null = null,
): OctoError {
  if (code === "invalid_api_key") return wrongKey();
  const isCreditShort = code === "insufficient_quota" && limit === undefined;
  const hint = isCreditShort ? "; add credit, or send a smaller max_completion_tokens" : "";
  const { param = null, retryAfterMs = null, rates = null } = limit ?? {};
  const asked = own === null ? "" : `. Your own workers, which are free, cannot answer: ${own}`;
  return new OctoError(code, `Cannot start task ${task.id}: ${reason}${hint}${asked}`, {
    headers: code === "rate_limit_exceeded" ? rateHeaders(rates) : {},
    ...(param === null ? {} : { param }),
    ...(retryAfterMs === null ? {} : { retryAfterS: Math.ceil(retryAfterMs / 1_000) }),
  });
}
