import type { NewAlert } from "../../db/money/alerts.ts";
import { edgeLog } from "../../log.ts";
import type { BudgetAlert } from "./budgets.ts";
import { subjectName } from "./limit-chain.ts";

/** An alert as the registry keeps it. A model's limits are named by what they are part of. */
export function alertRow(alert: BudgetAlert): NewAlert {
  const { id, accountId, subject, period, percent, spent, budget, createdMs } = alert;
  const isModel = subject.model !== null;
  return {
    id,
    accountId,
    scope: isModel ? "model" : subject.scope,
    scopeId: isModel ? subjectName(subject) : subject.id,
    period,
    percent,
    spentMicros: spent,
    budgetMicros: budget,
    createdAt: createdMs,
  };
}

/** Tells the operator's log. */
export function logAlerts(alerts: readonly NewAlert[]): void {
  for (const alert of alerts) {
    edgeLog("warn", "a budget is used up, or nearly", {
      account: alert.accountId,
      scope: alert.scope,
      scope_id: alert.scopeId,
      period: alert.period,
      percent: alert.percent,
      spent_micros: String(alert.spentMicros),
      budget_micros: String(alert.budgetMicros),
    });
  }
}
