import type { Micros } from "../../shared/money.ts";
import type { ProviderFigures } from "../db/money/provider-statements.ts";
import { type UnpaidReason, unpaidReason, unpaidReasons } from "./unpaid-reasons.ts";

/** What one worker did and earned. */
export interface WorkerStatement {
  /** Null for what the ledger paid and no attempt of the task explains. */
  readonly workerId: string | null;
  readonly served: number;
  readonly tokens: bigint;
  readonly grossMicros: Micros;
  readonly earnedMicros: Micros;
  readonly unpaid: readonly UnpaidCount[];
}

export interface UnpaidCount {
  readonly reason: UnpaidReason;
  readonly attempts: number;
  readonly tokens: bigint;
}

export interface ProviderStatement {
  readonly workers: readonly WorkerStatement[];
  readonly total: Omit<WorkerStatement, "workerId">;
  /** What the ledger credited less what the workers' lines add up to: 0, or the lines are wrong. */
  readonly differenceMicros: Micros;
}

/** The statement of what the ledger says, by worker. */
export function providerStatementOf(figures: ProviderFigures): ProviderStatement {
  const ids = new Set([...figures.served, ...figures.unpaid].map(({ workerId }) => workerId));
  const workers = [...ids].toSorted(byName).map((workerId): WorkerStatement => {
    const served = figures.served.find((row) => row.workerId === workerId);
    return {
      workerId,
      served: Number(served?.attempts ?? 0n),
      tokens: served?.tokens ?? 0n,
      grossMicros: served?.grossMicros ?? 0n,
      earnedMicros: served?.earnedMicros ?? 0n,
      unpaid: countReasons(figures.unpaid.filter((row) => row.workerId === workerId)),
    };
  });
  const sum = (of: (worker: WorkerStatement) => bigint) =>
    workers.reduce((total, worker) => total + of(worker), 0n);
  const earnedMicros = sum((worker) => worker.earnedMicros);
  return {
    workers,
    total: {
      served: workers.reduce((total, worker) => total + worker.served, 0),
      tokens: sum((worker) => worker.tokens),
      grossMicros: sum((worker) => worker.grossMicros),
      earnedMicros,
      unpaid: countReasons(figures.unpaid),
    },
    differenceMicros: figures.creditedMicros - earnedMicros,
  };
}

/** By name; what belongs to no worker comes last. */
function byName(a: string | null, b: string | null): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return a < b ? -1 : 1;
}

function countReasons(rows: ProviderFigures["unpaid"]): UnpaidCount[] {
  const rowsByReason = Map.groupBy(rows, unpaidReason);
  return unpaidReasons.flatMap((reason) => {
    const group = rowsByReason.get(reason) ?? [];
    const count = group.reduce((total, row) => total + Number(row.attempts), 0);
    const tokens = group.reduce((total, row) => total + row.tokens, 0n);
    return count === 0 ? [] : [{ reason, attempts: count, tokens }];
  });
}
