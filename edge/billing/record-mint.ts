import type { Micros } from "../../shared/money.ts";
import { type AccountState, mintCredit } from "./account-state.ts";
import type { AccountStore } from "./account-store.ts";
import { outboxPayload } from "./outbox-payload.ts";

/** Gives new credit, and remembers that it did; runs inside one transaction. */
export function recordMint(
  state: AccountState,
  store: AccountStore,
  mint: { readonly id: string; readonly micros: Micros },
): void {
  const transfer = mintCredit(state, mint, Date.now());
  store.saveResolutions([{ id: mint.id, kind: "mint", micros: mint.micros }], transfer.createdMs);
  store.save(state);
  store.appendOutbox(outboxPayload([], [transfer]));
}
