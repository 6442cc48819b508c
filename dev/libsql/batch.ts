import { SqlError } from "./connection.ts";
import type { Condition, StatementResult, WireBatch, WireError, WireStatement } from "./wire.ts";

/** How the steps of a batch ended; both are null for a step that was skipped. */
export interface BatchResult {
  readonly step_results: readonly (StatementResult | null)[];
  readonly step_errors: readonly (WireError | null)[];
}

export interface BatchRunner {
  readonly execute: (statement: WireStatement) => Promise<StatementResult>;
  readonly isAutocommit: () => boolean;
}

/** Runs the steps in order, each if its condition holds; a failed step stops nothing by itself. */
export async function runBatch(batch: WireBatch, runner: BatchRunner): Promise<BatchResult> {
  const results: (StatementResult | null)[] = [];
  const errors: (WireError | null)[] = [];
  const holds = (condition: Condition): boolean => {
    switch (condition.type) {
      case "ok":
        return (results[condition.step] ?? null) !== null;
      case "error":
        return (errors[condition.step] ?? null) !== null;
      case "not":
        return !holds(condition.cond);
      case "and":
        return condition.conds.every(holds);
      case "or":
        return condition.conds.some(holds);
      case "is_autocommit":
        return runner.isAutocommit();
    }
  };
  for (const step of batch.steps) {
    const isDue = step.condition === null || step.condition === undefined || holds(step.condition);
    const ended = isDue ? await run(step.stmt, runner) : skipped;
    results.push(ended.result);
    errors.push(ended.error);
  }
  return { step_results: results, step_errors: errors };
}

interface StepEnd {
  readonly result: StatementResult | null;
  readonly error: WireError | null;
}

const skipped: StepEnd = { result: null, error: null };

async function run(statement: WireStatement, runner: BatchRunner): Promise<StepEnd> {
  try {
    return { result: await runner.execute(statement), error: null };
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    return { result: null, error: error.toWire() };
  }
}
