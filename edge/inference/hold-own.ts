import { OctoError } from "../../shared/errors.ts";
import type { Refused } from "../billing/account-state.ts";
import type { Caller, Context } from "../context.ts";
import { accountObject } from "../objects.ts";
import type { RunResult } from "../hub/answers/answers.ts";
import type { InferenceRequest } from "./engine-request.ts";
import { type Held, refusal, tryHold } from "./hold-plan.ts";
import { ownHubs } from "./placing/own-hubs.ts";
import { type Plan, planTask } from "./plan-task.ts";

/*
 * What an account's own workers answer costs it nothing, so it takes no credit and no budget.
 * Where credit is what a request is refused for, and own workers offer its model, they alone are
 * asked. Who has the credit never comes here, and nobody looks for own workers before that; what a
 * limit or a budget stops is stopped for own workers as well.
 */

/** What was refused: a request, its plan, and why. */
export interface RefusedPlan {
  readonly wanted: InferenceRequest;
  readonly plan: Plan;
  readonly why: Refused;
}

/**
 * Holds for the account's own workers alone what was refused for want of credit. Throws the refusal
 * where that is not why, or where no own worker could answer.
 */
export async function holdOwn(
  ctx: Context,
  caller: Caller,
  { wanted, plan, why }: RefusedPlan,
): Promise<Exclude<Held, Refused>> {
  const isCreditShort = why.code === "insufficient_quota" && why.limit === undefined;
  if (!isCreditShort) throw refusal(plan, why);
  const refused = (own: string) => refusal(plan, why, own);
  const own = await planOwn(ctx, caller, wanted, plan);
  if (typeof own === "string") throw refused(own);
  const held = await tryHold(ctx, caller, own);
  if (held.kind === "refused") throw refusal(own, held);
  return held.kind === "held" ? { ...held, task: { ...held.task, refused } } : held;
}

/** A plan for own workers alone, or why there is none. */
async function planOwn(
  ctx: Context,
  caller: Caller,
  wanted: InferenceRequest,
  { task: { model } }: Plan,
): Promise<Plan | string> {
  const hubIds = await ownHubs(ctx, { accountId: caller.accountId, model });
  if (hubIds.length === 0) return `none of them offers ${model}`;
  try {
    return await planTask(ctx, caller, wanted, hubIds);
  } catch (error) {
    if (!(error instanceof OctoError)) throw error;
    return error.message;
  }
}

type FailedRun = Extract<RunResult, { kind: "failed" }>;

/** Whether no own worker took a task: what one of them has made of it is told as it is. */
export function isUntaken({ code, attempts }: FailedRun): boolean {
  switch (code) {
    case "no_capacity":
      return true;
    case "model_not_found":
    case "unsupported_parameter":
    case "context_length_exceeded":
      return attempts === 0;
    default:
      return false;
  }
}

/** The plan by which a request would run: on own workers where there is no credit for others. */
export async function planAffordable(
  ctx: Context,
  caller: Caller,
  wanted: InferenceRequest,
): Promise<Plan> {
  const plan = await planTask(ctx, caller, wanted);
  const limit = BigInt(plan.task.terms.limit);
  const account = accountObject(ctx.env, caller.accountId);
  if (limit === 0n || !(await account.isOpen())) return plan;
  const { balance, held } = await account.summary();
  if (balance - held >= limit) return plan;
  const own = await planOwn(ctx, caller, wanted, plan);
  return typeof own === "string" ? plan : own;
}
