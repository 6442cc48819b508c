import type { Micros } from "../../../shared/money.ts";

/** What an isolate and an account tell each other of a lease. */

/**
 * For so long an isolate may issue tickets: a revoked key lives on for that at most, and the two
 * calls that a lease costs pay off from a few tasks a second on.
 */
export const leaseMs = 2_000;

/** An isolate asks for credit that it issues itself. The id is its own, so that it can give up. */
export interface LeaseAsk {
  readonly id: string;
  readonly keyId: string;
  /** What it could use: credit in all, and tasks at a time. */
  readonly limit: Micros;
  readonly tasks: number;
  /** The most the task costs on whose behalf it asks. */
  readonly taskLimit: Micros;
}

export interface LeaseGrant {
  readonly limit: Micros;
  readonly tasksMax: number;
}

/** What was issued from a lease in all, said once nothing more is. */
export interface LeaseReport {
  readonly id: string;
  readonly micros: Micros;
  readonly tasks: number;
  /** Those of the tasks that had not ended: the others take no room, closed or not. */
  readonly running: number;
}
