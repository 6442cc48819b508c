import { type Asset, assets, type Bucket, buckets } from "../../../shared/assets.ts";
import type { Micros } from "../../../shared/money.ts";
import type { AccountState } from "../account-state.ts";

/** What an account has, by asset and bucket. */

/** An asset in a bucket of an account, as one word. */
function placeOf(asset: Asset, bucket: Bucket): string {
  return `${asset}:${bucket}`;
}

export function bucketOf(state: AccountState, asset: Asset, bucket: Bucket): Micros {
  if (asset === "CREDIT" && bucket === "available") return state.available;
  if (asset === "CREDIT" && bucket === "earned") return state.earned;
  return state.others.get(placeOf(asset, bucket)) ?? 0n;
}

export function changeBucket(
  state: AccountState,
  asset: Asset,
  bucket: Bucket,
  byMicros: Micros,
): void {
  if (asset === "CREDIT" && bucket === "available") state.available += byMicros;
  else if (asset === "CREDIT" && bucket === "earned") state.earned += byMicros;
  else state.others.set(placeOf(asset, bucket), bucketOf(state, asset, bucket) + byMicros);
}

/** Credit that can be spent on the network, what is held included. */
export function spendable(state: AccountState): Micros {
  return state.available + state.earned;
}

/** Credit to spend that nothing is held against. */
export function freeCredit(state: AccountState): Micros {
  return spendable(state) - state.held;
}

/** By how much an account is below nothing, with what its tasks may still cost. */
export function lackingCredit(state: AccountState): Micros {
  const free = freeCredit(state);
  return free < 0n ? -free : 0n;
}

/** Everything an account has, in the order of assets and buckets. */
export function filledBuckets(state: AccountState) {
  const all = assets.flatMap((asset) =>
    buckets.map((bucket) => ({ asset, bucket, micros: bucketOf(state, asset, bucket) })),
  );
  return all.filter(({ micros }) => micros !== 0n);
}
