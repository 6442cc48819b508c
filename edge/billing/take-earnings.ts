import type { Micros } from "../../shared/money.ts";
import type { AccountState } from "./account-state.ts";
import type { AccountStore } from "./account-store.ts";

/** Counts rows of another account's outbox (O2); runs inside one transaction. */
export function takeEarnings(
  state: AccountState,
  store: AccountStore,
  from: {
    readonly source: string;
    readonly rows: readonly { readonly seq: number; readonly micros: Micros }[];
  },
): void {
  const seen = store.earningsSeq(from.source);
  let latest = seen;
  for (const row of from.rows) {
    if (row.seq <= seen) continue;
    state.earned += row.micros;
    latest = Math.max(latest, row.seq);
  }
  store.save(state);
  store.saveEarningsSeq(from.source, latest);
}
