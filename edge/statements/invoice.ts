import { systemBooks } from "../../shared/assets.ts";
import type { Micros } from "../../shared/money.ts";
import {
  type InvoiceFigures,
  type Movement,
  type Spending,
  taskKind,
} from "../db/money/invoices.ts";

/*
 * An invoice is all of an account's credit over a month, whichever of its books it is in.
 * V1. opening + credited + earned + other − spent − withdrawn = closing, and the closing balance is
 *     summed apart from the rest.
 * V2. What was spent is the same by model, by key and by the transfers, and is what its tasks cost.
 * V3. `difference` is by how much V1 and V2 are missed together: no two faults make up for each
 *     other.
 */

/** What tasks of one model, or of one key, came to. */
export interface SpentOn {
  /** Null where the ledger knows no such task. */
  readonly name: string | null;
  readonly tasks: bigint;
  readonly promptTokens: bigint;
  readonly completionTokens: bigint;
  readonly spentMicros: Micros;
}

export interface Invoice {
  readonly openingMicros: Micros;
  /** What came from the mint: credit given and money paid in. */
  readonly creditedMicros: Micros;
  readonly spentMicros: Micros;
  readonly earnedMicros: Micros;
  /** What was paid out, less what came back of it. */
  readonly withdrawnMicros: Micros;
  /** Everything else, by what it added. */
  readonly otherMicros: Micros;
  readonly closingMicros: Micros;
  readonly differenceMicros: Micros;
  readonly byModel: readonly SpentOn[];
  readonly byKey: readonly SpentOn[];
}

/** The invoice of what the ledger says (V1, V2). */
export function invoiceOf(figures: InvoiceFigures): Invoice {
  const sums = { credited: 0n, spent: 0n, earned: 0n, withdrawn: 0n, other: 0n };
  for (const movement of figures.movements) {
    const line = lineOf(movement);
    if (line === null) continue;
    const isPositive = line === "spent" || line === "withdrawn" ? "out" : "in";
    sums[line] += movement.direction === isPositive ? movement.micros : -movement.micros;
  }
  const { openingMicros, closingMicros, spendings, unpostedMicros } = figures;
  const added = sums.credited + sums.earned + sums.other - sums.spent - sums.withdrawn;
  const total = (of: (spending: Spending) => Micros) =>
    spendings.reduce((sum, spending) => sum + of(spending), 0n);
  const differences = [
    closingMicros - openingMicros - added,
    sums.spent - total(({ spentMicros }) => spentMicros),
    ...spendings.map(({ spentMicros, costMicros }) => spentMicros - costMicros),
    unpostedMicros,
  ];
  return {
    openingMicros,
    creditedMicros: sums.credited,
    spentMicros: sums.spent,
    earnedMicros: sums.earned,
    withdrawnMicros: sums.withdrawn,
    otherMicros: sums.other,
    closingMicros,
    differenceMicros: differences.reduce((sum, micros) => sum + (micros < 0n ? -micros : micros)),
    byModel: spentBy(spendings, ({ model }) => model),
    byKey: spentBy(spendings, ({ keyId }) => keyId),
  };
}

type Line = "credited" | "spent" | "earned" | "withdrawn" | "other";

/** Where a movement stands: by who is on its other side, as reasons are many and sides are few. */
function lineOf({ kind, direction, other }: Movement): Line | null {
  // An account that asks its own workers has spent and earned.
  if (kind === taskKind) return direction === "out" ? "spent" : "earned";
  if (other === "own") return null;
  if (other === systemBooks.mint) return direction === "in" ? "credited" : "withdrawn";
  return other === systemBooks.payouts ? "withdrawn" : "other";
}

function spentBy(
  spendings: readonly Spending[],
  nameOf: (spending: Spending) => string | null,
): SpentOn[] {
  return [...Map.groupBy(spendings, nameOf)].map(([name, group]) => {
    const sum = (of: (spending: Spending) => bigint) =>
      group.reduce((total, spending) => total + of(spending), 0n);
    return {
      name,
      tasks: sum(({ tasks }) => tasks),
      promptTokens: sum(({ promptTokens }) => promptTokens),
      completionTokens: sum(({ completionTokens }) => completionTokens),
      spentMicros: sum(({ spentMicros }) => spentMicros),
    };
  });
}
