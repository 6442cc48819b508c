import type { AccountState, HoldRequest } from "../../../edge/billing/account-state.ts";
import type { TaskClosing } from "../../../edge/billing/closing.ts";
import type { Limits } from "../../../shared/limits.ts";
import type { Micros } from "../../../shared/money.ts";
import { hold } from "../truth.ts";

interface Counted {
  readonly atMs: number;
  readonly count: number;
}

/**
 * Judges the limits of one account at every task that it admits: G1 to G6 of
 * edge/billing/limits/limits-state.ts, from a list of its own. What the object forgets when it is
 * reset, this forgets; but never what was spent.
 */
export class LimitChecks {
  limits: Limits | null;
  readonly #accountId: string;
  #begun: Counted[] = [];
  #used: Counted[] = [];
  readonly #tokensByHeldTask = new Map<string, number>();
  readonly #spentByDay = new Map<number, Micros>();

  constructor(accountId: string, limits: Limits | null) {
    this.#accountId = accountId;
    this.limits = limits;
  }

  forgetHolds(): void {
    this.#begun = [];
    this.#used = [];
    this.#tokensByHeldTask.clear();
  }

  held(state: AccountState, { taskId, tokensMax }: HoldRequest, nowMs: number): void {
    const { limits } = this;
    if (limits === null) return;
    hold(state.leases.size === 0, "G6", () => `${this.#accountId} is limited and leases`);
    this.#begun.push({ atMs: nowMs, count: 1 });
    this.#tokensByHeldTask.set(taskId, tokensMax.promptTokens + tokensMax.completionTokens);
    for (const id of this.#tokensByHeldTask.keys()) {
      // Its hold has expired.
      if (!state.holds.has(id)) this.#tokensByHeldTask.delete(id);
    }
    const { concurrency = Infinity, day_budget_micros: budget } = limits;
    hold(state.holds.size <= concurrency, "G2", () => `${state.holds.size} of ${concurrency} run`);
    const tokens = [...this.#tokensByHeldTask.values()].reduce((sum, count) => sum + count, 0);
    this.#checkWindows(this.#begun, 0, limits.requests_per_minute, nowMs);
    this.#checkWindows(this.#used, tokens, limits.tokens_per_minute, nowMs);
    if (budget === undefined) return;
    const spent = this.#spentByDay.get(dayOf(nowMs)) ?? 0n;
    const most = `${spent} spent and ${state.held} held of ${budget}`;
    hold(spent + state.held <= BigInt(budget), "G2 G5", () => most);
  }

  resolved(closing: TaskClosing, cost: Micros, nowMs: number): void {
    const { task } = closing.terms;
    const isHeld = this.#tokensByHeldTask.delete(task);
    const day = dayOf(nowMs);
    this.#spentByDay.set(day, (this.#spentByDay.get(day) ?? 0n) + cost);
    if (!isHeld || closing.kind === "void") return;
    const { promptTokens, completionTokens } = closing.counts;
    this.#used.push({ atMs: nowMs, count: promptTokens + completionTokens });
  }

  /** In no window up to now there is more than a bucketful and what flowed in meanwhile. */
  #checkWindows(counted: readonly Counted[], more: number, perMinute = Infinity, nowMs: number) {
    let sum = more;
    hold(sum <= perMinute, "G2", () => `${sum} are held of ${perMinute} a minute`);
    for (const { atMs, count } of counted.toReversed()) {
      sum += count;
      const most = perMinute * (1 + (nowMs - atMs) / 60_000);
      hold(sum <= most + 1e-6, "G3", () => `${sum} in ${nowMs - atMs} ms, ${perMinute} a minute`);
    }
  }
}

function dayOf(ms: number): number {
  return Math.floor(ms / (24 * 3_600_000));
}
