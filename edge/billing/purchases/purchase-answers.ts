import type { Micros } from "../../../shared/money.ts";

/** What a payer asks of its Account, and what it answers. */

export type PurchaseAnswer =
  | { readonly kind: "bought"; readonly transaction: string; readonly free: Micros }
  /** A task has it, or had it. */
  | { readonly kind: "used"; readonly taskId: string }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "unknown" | "doubtful" | "suspended" }
  /** It runs as many tasks as it may. */
  | { readonly kind: "busy"; readonly tasks: number }
  /** A signature promises to pay for the task, which may begin. */
  | { readonly kind: "promised" }
  /** What a signature promised before was refused, so that no other is taken. */
  | { readonly kind: "owing"; readonly micros: Micros; readonly lacking: Micros }
  /**
   * With it the account would have so much for a task that may cost more. `lacking` is by how much
   * it is below nothing without it, which a transfer has to bring beside the price.
   */
  | { readonly kind: "short"; readonly free: Micros; readonly lacking: Micros };

/** What a payer asks for: a transfer's credit, or one that is promised, for one task. */
export interface PurchaseAsk {
  /** `exact`: it is settled before the task begins; `upto`: after it, for what that did cost. */
  readonly scheme: "exact" | "upto";
  readonly id: string;
  readonly accountId: string;
  readonly taskId: string;
  readonly payer: string;
  readonly micros: Micros;
  /** The most that the task may cost. */
  readonly limit: Micros;
  /** When the task runs no more. */
  readonly expiresMs: number;
  readonly body: string;
  readonly untilMs: number;
}
