import type { Micros } from "../../shared/money.ts";
import type { KeyAnswer } from "./account-keys.ts";
import type { HoldResult, Refused } from "./account-state.ts";

/** What an Account is told, and what it answers. */

export interface AccountSettings {
  readonly accountId: string;
  readonly status: "active" | "suspended";
  readonly concurrencyMax: number;
}

export type HoldAnswer =
  | { readonly kind: "held"; readonly ticket: string }
  | Extract<HoldResult, { kind: "refused" }>
  | Extract<KeyAnswer, { kind: "changed" }>;

/** Every amount an account has, and whether the ledger has heard of all of it. */
export interface AccountSummary extends AccountSettings {
  readonly balance: Micros;
  readonly held: Micros;
  readonly earned: Micros;
  readonly outboxEmpty: boolean;
}

export type MintResult = { readonly kind: "minted"; readonly summary: AccountSummary } | Refused;
