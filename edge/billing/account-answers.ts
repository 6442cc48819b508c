import type { Limits } from "../../shared/limits.ts";
import type { Micros } from "../../shared/money.ts";
import type { HoldResult, Refused } from "./account-state.ts";
import type { RateLimits } from "./rate-limits.ts";

/** What an Account is told, and what it answers. */

export interface AccountSettings {
  readonly accountId: string;
  readonly status: "active" | "suspended";
  readonly concurrencyMax: number;
  /** What all of the account together may use; what is not given stays as it is. */
  readonly limits?: Limits | null;
}

export type HoldAnswer =
  | { readonly kind: "held"; readonly ticket: string; readonly rates: RateLimits | null }
  | Extract<HoldResult, { kind: "refused" }>;

/** Every amount an account has, and whether the ledger has heard of all of it. */
export interface AccountSummary extends Required<AccountSettings> {
  readonly balance: Micros;
  readonly held: Micros;
  readonly earned: Micros;
  readonly outboxEmpty: boolean;
}

export type MintResult = { readonly kind: "minted"; readonly summary: AccountSummary } | Refused;
