import type { Limits } from "../../shared/limits.ts";
import type { Asset, Bucket } from "../../shared/assets.ts";
import type { JournalPlace } from "../../shared/journal.ts";
import type { Micros, TokenCounts } from "../../shared/money.ts";
import type { KeyAnswer } from "./account-keys.ts";
import type { HoldResult, Refused } from "./account-state.ts";
import type { RateLimits } from "./limits/rate-limits.ts";
import type { Debt } from "./outbox/debt-store.ts";

/** What an Account is told, and what it answers. */

export interface AccountSettings {
  readonly accountId: string;
  readonly status: "active" | "suspended";
  readonly concurrencyMax: number;
  /** What all of the account together may use; what is not given stays as it is. */
  readonly limits?: Limits | null;
}

/** What a hold needs to know beside its terms. */
export interface HoldAsk {
  /** The most tokens that the task can use. */
  readonly tokensMax?: TokenCounts;
  /** Other names of the model, whose limits hold as well. */
  readonly alsoNamed?: readonly string[];
  /** How many changes of its key the asker knows of (K2). */
  readonly keyChanges?: number;
}

export type HoldAnswer =
  | { readonly kind: "held"; readonly ticket: string; readonly rates: RateLimits | null }
  | Extract<HoldResult, { kind: "refused" }>
  | Extract<KeyAnswer, { kind: "changed" }>;

/** Every amount an account has, and whether the ledger has heard of all of it. */
export interface AccountSummary extends Required<AccountSettings> {
  /** Credit that can be spent, what is held included: what is available and what is earned. */
  readonly balance: Micros;
  /** Credit that can be spent, or leave the network. */
  readonly available: Micros;
  /** Set aside for tasks that run. */
  readonly held: Micros;
  /** Credit that was earned and is in its window still. */
  readonly earned: Micros;
  /** Credit that is in dispute. */
  readonly disputed: Micros;
  /** Credit that is promised: to a withdrawal, say. */
  readonly pending: Micros;
  /** Every bucket of every asset that there is anything in. */
  readonly buckets: readonly {
    readonly asset: Asset;
    readonly bucket: Bucket;
    readonly micros: Micros;
  }[];
  readonly journal: JournalPlace;
  /** Whether the ledger knows all that this account decided. */
  readonly outboxEmpty: boolean;
  /** Accounts that could not be told what they are given, the longest first. */
  readonly owed: readonly Debt[];
}

export type MintResult = { readonly kind: "minted"; readonly summary: AccountSummary } | Refused;
