import { toHex } from "../../../shared/crypto/bytes.ts";
import { sha256Sync } from "../../../shared/crypto/sha256-sync.ts";
import { type BudgetPeriod, budgetPeriods, type ModelLimits } from "../../../shared/limits.ts";
import type { Micros } from "../../../shared/money.ts";
import { periodName, periodStartMs } from "./budget-period.ts";
import {
  type LimitsState,
  type Meter,
  nothingSpent,
  type Spent,
  type Subject,
  subjectLimits,
  subjectName,
} from "./limit-chain.ts";

/** Told of a budget, each once a period: time to look, time to act, and the end. */
const alertPercents = [80, 95, 100] as const;

/** A budget that reached one of them. */
export interface BudgetAlert {
  /** Derived from what it tells of, so that it is told once. */
  readonly id: string;
  readonly accountId: string;
  readonly subject: Subject;
  readonly period: BudgetPeriod;
  readonly percent: number;
  readonly spent: Micros;
  readonly budget: Micros;
  readonly createdMs: number;
}

/** What is stored of a meter. */
export interface SpentRow {
  readonly subject: Subject;
  readonly period: BudgetPeriod;
  readonly spent: Spent;
}

/** Micros a period may cost; null where that is not limited. */
export function budgetOf(limits: ModelLimits, period: BudgetPeriod): Micros | null {
  const micros = period === "day" ? limits.day_budget_micros : limits.month_budget_micros;
  return micros === undefined ? null : BigInt(micros);
}

/** What was spent in the period of this moment; a clock that was set back opens no period again. */
export function spentIn(meter: Meter, period: BudgetPeriod, nowMs: number): Spent {
  const startMs = periodStartMs(period, nowMs);
  const spent = meter.spent[period];
  return spent.startMs >= startMs ? spent : { ...nothingSpent, startMs };
}

/** A task has cost so much; only where there is a budget is anything counted. */
export function spend(state: LimitsState, meter: Meter, cost: Micros, nowMs: number): void {
  const limits = subjectLimits(state, meter.subject);
  if (limits === null || cost === 0n) return;
  for (const period of budgetPeriods) {
    if (budgetOf(limits, period) === null) continue;
    const spent = spentIn(meter, period, nowMs);
    meter.spent[period] = { ...spent, micros: spent.micros + cost };
    state.unsaved.add(meter);
  }
}

/**
 * What is to be stored of budgets since this was asked last, and whom to tell. A budget that was
 * changed is told of anew.
 */
export function takeUnsaved(
  state: LimitsState,
  nowMs: number,
): { readonly rows: readonly SpentRow[]; readonly alerts: readonly BudgetAlert[] } {
  const rows: SpentRow[] = [];
  const alerts: BudgetAlert[] = [];
  for (const meter of state.unsaved) {
    const limits = subjectLimits(state, meter.subject);
    for (const period of budgetPeriods) {
      const budget = limits === null ? null : budgetOf(limits, period);
      if (budget === null) continue;
      const spent = spentIn(meter, period, nowMs);
      const due = duePercents(spent, budget);
      const toldPercent = due.at(-1) ?? (spent.toldBudget === budget ? spent.toldPercent : 0);
      meter.spent[period] = { ...spent, toldPercent, toldBudget: budget };
      rows.push({ subject: meter.subject, period, spent: meter.spent[period] });
      const { subject } = meter;
      const about = [state.accountId, subjectName(subject), periodName(period, spent.startMs)];
      for (const percent of due) {
        alerts.push({
          id: alertId([...about, budget, percent]),
          accountId: state.accountId,
          subject,
          period,
          percent,
          spent: spent.micros,
          budget,
          createdMs: nowMs,
        });
      }
    }
  }
  state.unsaved.clear();
  return { rows, alerts };
}

function duePercents(spent: Spent, budget: Micros): number[] {
  const told = spent.toldBudget === budget ? spent.toldPercent : 0;
  return alertPercents.filter(
    (percent) => percent > told && spent.micros * 100n >= budget * BigInt(percent),
  );
}

/** An alert's id is made of all that it tells of. */
function alertId(about: readonly unknown[]): string {
  return `alr_${toHex(sha256Sync(about.join("\n"))).slice(0, 32)}`;
}
