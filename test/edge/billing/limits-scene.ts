import { type BudgetAlert, takeUnsaved } from "../../../edge/billing/limits/budgets.ts";
import {
  createLimitsState,
  type KeyGroups,
  type LimitsState,
  setKeyGroups,
  setLimits,
} from "../../../edge/billing/limits/limit-chain.ts";
import {
  admitTask,
  finishTask,
  type LimitedRequest,
  takeAdmitted,
} from "../../../edge/billing/limits/limits-state.ts";
import type { Refused } from "../../../edge/billing/account-state.ts";
import type { RateLimits } from "../../../edge/billing/limits/rate-limits.ts";
import type { Limits } from "../../../shared/limits.ts";

type Asked = Partial<Omit<LimitedRequest, "tokensMax">> & {
  readonly prompt?: number;
  readonly completion?: number;
};

/** Limits of one account, asked and told at a time of the test's own. */
export class LimitsScene {
  readonly state: LimitsState = createLimitsState("acct_1");
  nowMs = Date.UTC(2026, 10, 28, 12);
  rates: RateLimits | null = null;
  #tasks = 0;

  constructor(limits: Record<string, Limits>, groups: Record<string, Partial<KeyGroups>> = {}) {
    for (const [name, of] of Object.entries(limits)) this.limit(name, of);
    for (const [keyId, { teamId = null, projectId = null }] of Object.entries(groups)) {
      setKeyGroups(this.state, keyId, { teamId, projectId });
    }
  }

  /** Sets the limits of `key:k1`, `account:acct_1`. */
  limit(name: string, limits: Limits | null): void {
    const [scope, id] = name.split(":") as ["account" | "team" | "project" | "key", string];
    setLimits(this.state, { scope, id }, limits);
  }

  /** Begins a task of `k1` and of `m`; gives its id, or how it is refused. */
  begin(asked: Asked = {}): string | Refused {
    const { prompt = 0, completion = 0, ...rest } = asked;
    this.#tasks += 1;
    const request = {
      taskId: `t${this.#tasks}`,
      keyId: "k1",
      model: "m",
      limit: 0n,
      tokensMax: { promptTokens: prompt, completionTokens: completion },
      ...rest,
    };
    const admission = admitTask(this.state, request, this.nowMs);
    if (admission.kind === "refused") return admission;
    this.rates = takeAdmitted(this.state, admission, request, this.nowMs);
    return request.taskId;
  }

  /** How the next task is refused: its code and when to come back; null where it begins. */
  refusal(asked: Asked = {}): { code: string; retryAfterMs: number | null; reason: string } | null {
    const result = this.begin(asked);
    if (typeof result === "string") return null;
    const { code, reason, limit } = result;
    return { code, reason, retryAfterMs: limit?.retryAfterMs ?? null };
  }

  /** So many tasks begin before one is refused, of `most`. */
  count(most: number, asked: Asked = {}): number {
    for (let begun = 0; begun < most; begun++) {
      if (typeof this.begin(asked) !== "string") return begun;
    }
    return most;
  }

  /** Ends a task; gives the alerts that this was worth. */
  end(
    task: string | Refused,
    used: { readonly cost?: bigint; readonly tokens?: number; readonly keyId?: string } = {},
  ): readonly BudgetAlert[] {
    if (typeof task !== "string") throw new Error(`the task is refused: ${task.reason}`);
    const { cost = 0n, tokens = 0, keyId = "k1" } = used;
    finishTask(this.state, { taskId: task, keyId, model: "m", cost, tokens }, this.nowMs);
    return takeUnsaved(this.state, this.nowMs).alerts;
  }

  wait(ms: number): void {
    this.nowMs += ms;
  }
}
