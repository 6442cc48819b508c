import {
  type AccountState,
  createAccountState,
  mintCredit,
} from "../../../edge/billing/account-state.ts";
import { bucketOf } from "../../../edge/billing/money/buckets.ts";
import { addEarned, type Window } from "../../../edge/billing/money/earnings-window.ts";
import { type Leg, moveMoney } from "../../../edge/billing/money/move-money.ts";
import { bookOf, type Bucket } from "../../../shared/assets.ts";
import type { Micros } from "../../../shared/money.ts";

/** Accounts whose ids are as real ones are. */
export const ownId = "acct_2Z3Y4X5W6V7U8T9S0R1Q2P";
export const otherId = "acct_0a1b2c3d4e5f6g7h8i9j0k";

export const own = (bucket: Bucket) => bookOf(ownId, bucket);

export const disputeMs = 144_000;
export const at = (nowMs: number): Window => ({ nowMs, disputeMs });

/** An account with credit that is available, and some that was earned at 0. */
export function ownAccount(available: Micros, earned: Micros = 0n): AccountState {
  const state = createAccountState(ownId);
  state.concurrencyMax = 100;
  state.keys.set("key_1", "active");
  if (available > 0n) mintCredit(state, { id: "tfr_1", micros: available }, 0);
  if (earned > 0n) addEarned(state, earned, at(0));
  return state;
}

export function leg(debit: string, credit: string, micros: Micros, asset: Leg["asset"] = "CREDIT") {
  return { debit, credit, asset, micros };
}

/** Moves under the id `mov_1`; gives `decided`, or the code of the refusal. */
export function moveFor(state: AccountState, legs: readonly Leg[], nowMs = 1): string {
  const moved = moveMoney(state, { id: "mov_1", kind: "test", reason: null, legs }, at(nowMs));
  return moved.kind === "decided" ? "decided" : moved.code;
}

/** Credit by bucket. */
export function creditOf(state: AccountState): Record<Bucket, Micros> {
  const of = (bucket: Bucket) => bucketOf(state, "CREDIT", bucket);
  return {
    available: of("available"),
    held: of("held"),
    earned: of("earned"),
    disputed: of("disputed"),
    stake: of("stake"),
  };
}
