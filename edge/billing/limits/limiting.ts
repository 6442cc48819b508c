import type { Limits } from "../../../shared/limits.ts";
import type { AccountState } from "../account-state.ts";
import type { AccountStore } from "../account-store.ts";
import { type HolderScope, type KeySettings, setKeyGroups, setLimits } from "./limit-chain.ts";

/** Limits of a scope, in memory and stored; what has no limit in it is none. */
export function changeLimits(
  state: AccountState,
  store: AccountStore,
  of: { readonly scope: HolderScope; readonly id: string },
  limits: Limits | null,
): void {
  const some = limits === null || Object.keys(limits).length === 0 ? null : limits;
  store.limits.saveLimits(of.scope, of.id, some);
  setLimits(state.limits, of, some);
}

/** What a key belongs to and may use, in memory and stored. */
export function changeKey(
  state: AccountState,
  store: AccountStore,
  keyId: string,
  settings: KeySettings,
): void {
  store.limits.saveKeyGroups(keyId, settings);
  setKeyGroups(state.limits, keyId, settings);
  changeLimits(state, store, { scope: "key", id: keyId }, settings.limits);
}
