import { budgetPeriods, type ModelLimits } from "../../../shared/limits.ts";
import type { Refused, RefusedByLimit } from "../account-state.ts";
import { periodEnd } from "./budget-period.ts";
import { budgetOf, spentIn } from "./budgets.ts";
import type { Link, Subject } from "./limit-chain.ts";
import type { LimitedRequest } from "./limits-state.ts";
import { freeTokens, ratesOf } from "./rate-limits.ts";
import { refilled, waitMs } from "./token-bucket.ts";

/** One limit's refusal. */
type Refusal = Pick<Refused, "code" | "reason"> & Partial<Omit<RefusedByLimit, "rates">>;

/**
 * Why a task may not begin now; null where it may. What no waiting mends is said first: a task that
 * fits no time, then a budget that is spent; then whatever takes longest.
 */
export function whyRefused(
  chain: readonly Link[],
  request: LimitedRequest,
  nowMs: number,
): Refused | null {
  const refusal =
    whyTooLong(chain, request) ??
    firstOf(chain, ({ subject, limits }) => whyClosed(subject, limits)) ??
    firstOf(chain, (link) => whyUnpaid(link, request, nowMs)) ??
    longestOf(chain.flatMap((link) => whyNotYet(link, request, nowMs)));
  if (refusal === null) return null;
  const { code, reason, param = null, retryAfterMs = null, completionTokensMax = null } = refusal;
  const rates = ratesOf(chain, nowMs);
  return {
    kind: "refused",
    code,
    reason,
    limit: { param, retryAfterMs, completionTokensMax, rates },
  };
}

/** Whether the task would not fit though nothing else were running; the tightest limit says so. */
function whyTooLong(chain: readonly Link[], { tokensMax }: LimitedRequest): Refusal | null {
  let most = tokensMax.completionTokens;
  let tightest: string | null = null;
  for (const { subject, limits } of chain) {
    const { max_tokens: longest = most, tokens_per_minute: perMinute } = limits;
    if (longest < most) {
      most = longest;
      const made = tokensMax.completionTokens;
      const tokens = `${some(longest, "token")}${ofModel(subject)}`;
      const may = `${nameOf(subject)} may make ${tokens} in one task`;
      tightest = `${may}, and this may make ${made}`;
    }
    const room = (perMinute ?? Infinity) - tokensMax.promptTokens;
    if (perMinute !== undefined && room < most) {
      most = room;
      const used = allTokens(tokensMax);
      tightest = `${mayUse(subject, perMinute)}, and this one task may use ${used}`;
    }
  }
  if (tightest === null) return null;
  const completionTokensMax = most > 0 ? most : null;
  const param = completionTokensMax === null ? null : "max_completion_tokens";
  return { code: "invalid_request", reason: tightest, param, completionTokensMax };
}

/** Whether nothing may be done at all. */
function whyClosed(subject: Subject, limits: ModelLimits): Refusal | null {
  const { requests_per_minute: requests, concurrency } = limits;
  if (requests !== 0 && concurrency !== 0) return null;
  const none = requests === 0 ? "requests a minute" : "tasks at a time";
  const reason = `${nameOf(subject)} may make 0 ${none}${ofModel(subject)}`;
  return { code: "invalid_request", reason };
}

function whyUnpaid(
  { subject, limits, meter }: Link,
  { limit, isOwn = false }: LimitedRequest,
  nowMs: number,
): Refusal | null {
  // What own workers do is in no budget, though more than all of it be spent already (A6).
  if (limits.budget_end === "soft" || isOwn) return null;
  for (const period of budgetPeriods) {
    const budget = budgetOf(limits, period);
    if (budget === null) continue;
    const spent = spentIn(meter, period, nowMs).micros;
    if (spent + meter.heldMicros + limit <= budget) continue;
    const reason =
      `${nameOf(subject)} may spend ${budget} micros${ofModel(subject)} a ${period}; ` +
      `${spent} are spent, ${meter.heldMicros} held, and this may cost ${limit}; ` +
      `the ${period} ends at ${periodEnd(period, nowMs)}`;
    return { code: "insufficient_quota", reason };
  }
  return null;
}

function whyNotYet(
  { subject, limits, meter }: Link,
  { tokensMax }: LimitedRequest,
  nowMs: number,
): Refusal[] {
  const { requests_per_minute: requestsMax, tokens_per_minute: perMinute, concurrency } = limits;
  const code = "rate_limit_exceeded";
  const refusals: Refusal[] = [];
  if (concurrency !== undefined && meter.running >= concurrency) {
    const tasks = `${some(concurrency, "task")}${ofModel(subject)}`;
    const reason = `${nameOf(subject)} may run ${tasks} at a time`;
    refusals.push({ code, reason });
  }
  if (requestsMax !== undefined) {
    const retryAfterMs = waitMs(refilled(meter.requests, requestsMax, nowMs), 1, requestsMax);
    const may = `may make ${some(requestsMax, "request")}${ofModel(subject)} a minute`;
    if (retryAfterMs > 0)
      refusals.push({ code, reason: `${nameOf(subject)} ${may}`, retryAfterMs });
  }
  if (perMinute !== undefined) {
    const tokens = allTokens(tokensMax);
    const free = freeTokens(meter, perMinute, nowMs);
    const waitedMs = waitMs(free, tokens, perMinute);
    // Beyond what refills, running tasks have to end, and nobody knows when.
    const isHeld = tokens + meter.heldTokens > perMinute;
    const reason = `${mayUse(subject, perMinute)}, and this may use ${tokens}`;
    if (waitedMs > 0) {
      refusals.push({ code, reason, ...(isHeld ? {} : { retryAfterMs: waitedMs }) });
    }
  }
  return refusals;
}

function firstOf(chain: readonly Link[], why: (link: Link) => Refusal | null): Refusal | null {
  for (const link of chain) {
    const refusal = why(link);
    if (refusal !== null) return refusal;
  }
  return null;
}

function longestOf(refusals: readonly Refusal[]): Refusal | null {
  const sorted = refusals.toSorted((a, b) => (b.retryAfterMs ?? 0) - (a.retryAfterMs ?? 0));
  return sorted[0] ?? null;
}

function allTokens({ promptTokens, completionTokens }: LimitedRequest["tokensMax"]): number {
  return promptTokens + completionTokens;
}

function mayUse(subject: Subject, perMinute: number): string {
  return `${nameOf(subject)} may use ${some(perMinute, "token")}${ofModel(subject)} a minute`;
}

function some(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function nameOf({ scope, id }: Subject): string {
  return scope === "account" ? "the account" : `the ${scope} ${id}`;
}

function ofModel({ model }: Subject): string {
  return model === null ? "" : ` of ${model}`;
}
