import type { Micros } from "../../../shared/money.ts";
import { type AccountState, balanceMax, type Refused, refused } from "../account-state.ts";
import { spendable } from "./buckets.ts";

/**
 * Why new credit cannot be given, if so; `before` is what the same transfer id gave already, if it
 * did.
 */
export function refuseMint(
  state: AccountState,
  micros: Micros,
  before: Micros | null,
): Refused | null {
  if (before === null) {
    const balance = spendable(state);
    if (balance + micros <= balanceMax) return null;
    return refused("invalid_request", `the balance is ${balance} and may be ${balanceMax}`);
  }
  if (before === micros) return null;
  return refused("idempotency_conflict", `the same Idempotency-Key gave ${before} micros`);
}
