import type { BudgetPeriod } from "../../../shared/limits.ts";

/** When the UTC day or month that holds a moment began. */
export function periodStartMs(period: BudgetPeriod, nowMs: number): number {
  const at = new Date(nowMs);
  const day = period === "day" ? at.getUTCDate() : 1;
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), day);
}

/** When the next one begins, in ISO 8601. */
export function periodEnd(period: BudgetPeriod, nowMs: number): string {
  const at = new Date(nowMs);
  const [year, month] = [at.getUTCFullYear(), at.getUTCMonth()];
  const endMs =
    period === "day" ? Date.UTC(year, month, at.getUTCDate() + 1) : Date.UTC(year, month + 1);
  return new Date(endMs).toISOString();
}

/** `2026-11-28`, `2026-11`. */
export function periodName(period: BudgetPeriod, startMs: number): string {
  return new Date(startMs).toISOString().slice(0, period === "day" ? 10 : 7);
}
