import * as fc from "fast-check";
import { expect, test } from "vitest";
import { takeUnsaved } from "../../../edge/billing/limits/budgets.ts";
import {
  createLimitsState,
  type LimitsState,
  setKeyGroups,
  setLimits,
} from "../../../edge/billing/limits/limit-chain.ts";
import {
  admitTask,
  finishTask,
  hasOpenBuckets,
  keepMeters,
  type LimitedRequest,
  releaseTask,
  restoreLimits,
  takeAdmitted,
} from "../../../edge/billing/limits/limits-state.ts";
import type { SpentRow } from "../../../edge/billing/limits/budgets.ts";
import type { Limits, ModelLimits } from "../../../shared/limits.ts";

/*
 * Limits against the plainest thing that can be said of them: a list of all that ever happened, and
 * the rule of a bucket over every window of it. Both have to decide the same of every task.
 */

const groupsByKey = {
  k1: { teamId: "t", projectId: null },
  k2: { teamId: "t", projectId: "p" },
  k3: { teamId: null, projectId: "p" },
} as const;
type KeyId = keyof typeof groupsByKey;
const dayMs = 24 * 3_600_000;
const keyIds = ["k1", "k2", "k3"] as const;

interface Happened {
  readonly request: LimitedRequest;
  readonly beganMs: number;
  end: { readonly atMs: number; readonly tokens: number; readonly cost: bigint } | null;
}

/** All that happened, and what it says of the next task. */
class Chronicle {
  readonly tasks: Happened[] = [];
  readonly #limits: Record<string, Limits>;

  constructor(limits: Record<string, Limits>) {
    this.#limits = limits;
  }

  allows(request: LimitedRequest, nowMs: number): boolean {
    const { teamId, projectId } = groupsByKey[request.keyId as KeyId];
    const scopes = ["account:a", `team:${teamId}`, `project:${projectId}`, `key:${request.keyId}`];
    return scopes.every((scope) => {
      const limits = this.#limits[scope];
      if (limits === undefined) return true;
      const under = this.tasks.filter(({ request: { keyId } }) => isUnder(scope, keyId as KeyId));
      const ofModel = limits.models?.[request.model];
      const sameModel = under.filter(({ request: { model } }) => model === request.model);
      return (
        fits(limits, under, request, nowMs) &&
        (ofModel === undefined || fits(ofModel, sameModel, request, nowMs))
      );
    });
  }
}

function isUnder(scope: string, keyId: KeyId): boolean {
  const { teamId, projectId } = groupsByKey[keyId];
  return ["account:a", `team:${teamId}`, `project:${projectId}`, `key:${keyId}`].includes(scope);
}

function fits(
  limits: ModelLimits,
  tasks: readonly Happened[],
  { tokensMax, limit }: LimitedRequest,
  nowMs: number,
): boolean {
  const running = tasks.filter(({ end }) => end === null);
  const ended = tasks.flatMap(({ end }) => (end === null ? [] : [end]));
  const tokens = tokensMax.promptTokens + tokensMax.completionTokens;
  const heldTokens = sum(running.map(({ request }) => allTokens(request)));
  const begun = tasks.map(({ beganMs }) => ({ atMs: beganMs, count: 1 }));
  const used = ended.map(({ atMs, tokens: count }) => ({ atMs, count }));
  const { requests_per_minute: requests, tokens_per_minute: tokensPerMinute } = limits;
  return (
    running.length < (limits.concurrency ?? Infinity) &&
    tokensMax.completionTokens <= (limits.max_tokens ?? Infinity) &&
    (requests === undefined || isWithin(begun, 1, requests, nowMs)) &&
    (tokensPerMinute === undefined ||
      isWithin(used, heldTokens + tokens, tokensPerMinute, nowMs)) &&
    isPaidFor(limits, running, ended, limit, nowMs)
  );
}

/** In no window that ends now there is more than a bucketful and what flows in meanwhile. */
function isWithin(
  events: readonly { readonly atMs: number; readonly count: number }[],
  more: number,
  perMinute: number,
  nowMs: number,
): boolean {
  return [nowMs, ...events.map(({ atMs }) => atMs)].every((fromMs) => {
    const inWindow = sum(events.filter(({ atMs }) => atMs >= fromMs).map(({ count }) => count));
    // In sixty-thousandths, so that nothing is rounded.
    return (inWindow + more) * 60_000 <= perMinute * (60_000 + nowMs - fromMs);
  });
}

function isPaidFor(
  limits: ModelLimits,
  running: readonly Happened[],
  ended: readonly { readonly atMs: number; readonly cost: bigint }[],
  limit: bigint,
  nowMs: number,
): boolean {
  if (limits.budget_end === "soft") return true;
  const held = running.reduce((total, { request }) => total + request.limit, 0n);
  const budgets = [
    [limits.day_budget_micros, 10],
    [limits.month_budget_micros, 7],
  ] as const;
  return budgets.every(([budget, length]) => {
    if (budget === undefined) return true;
    const period = (ms: number) => new Date(ms).toISOString().slice(0, length);
    const same = ended.filter(({ atMs }) => period(atMs) === period(nowMs));
    const spent = same.reduce((total, { cost }) => total + cost, 0n);
    return spent + held + limit <= BigInt(budget);
  });
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

function allTokens({ tokensMax }: LimitedRequest): number {
  return tokensMax.promptTokens + tokensMax.completionTokens;
}

const rates = {
  requests_per_minute: fc.nat(7),
  tokens_per_minute: fc.oneof(fc.nat(260), fc.nat(2_000)),
};
const sizes = { concurrency: fc.nat(4), max_tokens: fc.integer({ min: 50, max: 150 }) };
const budgets = {
  day_budget_micros: fc.nat(200),
  month_budget_micros: fc.nat(400),
  budget_end: fc.constantFrom("hard" as const, "soft" as const),
};
// Seldom all at once: the tightest would hide the others.
const some = { requiredKeys: [] };
const modelLimits: fc.Arbitrary<ModelLimits> = fc.oneof(
  fc.record(rates, some),
  fc.record(sizes, some),
  fc.record(budgets, some),
  fc.record({ ...rates, ...sizes, ...budgets }, some),
);
const byModel = fc.dictionary(fc.constantFrom("m", "n"), modelLimits);
const someLimits: fc.Arbitrary<Limits> = fc.oneof(
  modelLimits,
  fc.tuple(modelLimits, byModel).map(([limits, models]) => ({ ...limits, models })),
);
const scopes = fc.constantFrom("account:a", "team:t", "project:p", "key:k1", "key:k2", "key:k3");
const allLimits = fc.dictionary(scopes, someLimits, { minKeys: 1, maxKeys: 3 });

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("begin" as const),
      keyId: fc.constantFrom(...keyIds),
      model: fc.constantFrom("m", "n"),
      prompt: fc.nat(50),
      completion: fc.nat(160),
      limit: fc.bigInt(0n, 60n),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      which: fc.nat(),
      usedPercent: fc.nat(100),
      how: fc.constantFrom("post" as const, "post" as const, "void" as const, "expiry" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.oneof(fc.nat(30), fc.nat(300), fc.nat(9_000), fc.nat(70_000), fc.nat(2 * dayMs)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("tidy" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reread" as const) }) },
);

function newState(limits: Record<string, Limits>): LimitsState {
  const state = createLimitsState("a");
  for (const [name, of] of Object.entries(limits)) {
    const [scope, id = ""] = name.split(":") as ["account" | "team" | "project" | "key", string];
    setLimits(state, { scope, id }, of);
  }
  for (const keyId of keyIds) setKeyGroups(state, keyId, groupsByKey[keyId]);
  return state;
}

test("whatever begins, ends and passes, limits admit what the rule over all that happened admits", () => {
  let begun = 0;
  let refused = 0;
  fc.assert(
    fc.property(allLimits, fc.array(step, { minLength: 5, maxLength: 60 }), (limits, steps) => {
      const chronicle = new Chronicle(limits);
      let state = newState(limits);
      const stored = new Map<string, SpentRow>();
      // The last hours of a February.
      let nowMs = Date.UTC(2027, 1, 28, 20);
      for (const [at, next] of steps.entries()) {
        if (next.kind === "wait") nowMs += next.ms;
        else if (next.kind === "tidy") hasOpenBuckets(state, nowMs);
        else if (next.kind === "reread") {
          const before = state;
          state = newState(limits);
          restoreLimits(state, { limits: [], groups: [], spent: [...stored.values()] });
          keepMeters(state, before);
        } else if (next.kind === "begin") {
          const { prompt: promptTokens, completion: completionTokens, ...asked } = next;
          const request = {
            taskId: `${at}`,
            ...asked,
            tokensMax: { promptTokens, completionTokens },
          };
          const admission = admitTask(state, request, nowMs);
          expect(admission.kind === "admitted").toBe(chronicle.allows(request, nowMs));
          if (admission.kind === "refused") {
            refused += 1;
            continue;
          }
          begun += 1;
          takeAdmitted(state, admission, request, nowMs);
          chronicle.tasks.push({ request, beganMs: nowMs, end: null });
        } else {
          const running = chronicle.tasks.filter(({ end }) => end === null);
          const task = running[next.which % running.length];
          if (task === undefined) continue;
          const { taskId, keyId, model, limit } = task.request;
          const isPosted = next.how === "post";
          const tokens = isPosted
            ? Math.floor((allTokens(task.request) * next.usedPercent) / 100)
            : 0;
          const cost = isPosted ? (limit * BigInt(next.usedPercent)) / 100n : 0n;
          if (next.how === "expiry") releaseTask(state, taskId);
          else finishTask(state, { taskId, keyId, model, cost, tokens }, nowMs);
          for (const row of takeUnsaved(state, nowMs).rows) {
            stored.set(JSON.stringify([row.subject, row.period]), row);
          }
          task.end = { atMs: nowMs, tokens, cost };
        }
      }
      for (const { request, end } of chronicle.tasks) {
        if (end === null) releaseTask(state, request.taskId);
      }
      for (const { running, heldTokens, heldMicros } of state.meters.values()) {
        expect([running, heldTokens, heldMicros]).toEqual([0, 0, 0n]);
      }
    }),
    { numRuns: 2_000 },
  );
  // It is no model of a world in which nothing happens.
  expect(Math.min(begun, refused)).toBeGreaterThan(500);
});

test("whoever comes back when told to is admitted, and a millisecond before is not", () => {
  const ask = fc.record({ requests: fc.integer({ min: 1, max: 500 }), begun: fc.nat(600) });
  fc.assert(
    fc.property(ask, fc.nat(60_000), ({ requests, begun }, laterMs) => {
      const state = newState({ "key:k1": { requests_per_minute: requests } });
      const request = (taskId: string) => ({
        taskId,
        keyId: "k1",
        model: "m",
        limit: 0n,
        tokensMax: { promptTokens: 0, completionTokens: 0 },
      });
      for (let task = 0; task < begun; task++) {
        const admission = admitTask(state, request(`${task}`), 0);
        if (admission.kind === "admitted") takeAdmitted(state, admission, request(`${task}`), 0);
      }
      const refused = admitTask(state, request("late"), laterMs);
      if (refused.kind === "admitted") return;
      const waitMs = refused.limit?.retryAfterMs ?? 0;
      expect(admitTask(state, request("late"), laterMs + waitMs - 1).kind).toBe("refused");
      expect(admitTask(state, request("late"), laterMs + waitMs).kind).toBe("admitted");
    }),
  );
});
