import { ownerOf } from "../../../shared/assets.ts";
import { OctoError } from "../../../shared/errors.ts";
import type { AccountState, Transfer } from "../account-state.ts";
import { lost } from "../standing.ts";
import type { Books } from "../books.ts";
import type { BudgetAlert } from "../limits/budgets.ts";
import { enterJournal } from "../outbox/enter-journal.ts";
import type { Decided } from "./move-money.ts";
import { type OutboxItem, outboxPayload } from "../outbox/outbox-payload.ts";

export const nothingMoved: Decided = { transfers: [], earnings: [], lots: [] };

/**
 * Stores what was decided, and what the ledger and other accounts are to hear of it; runs inside
 * one transaction. What was decided comes before what tasks cost.
 */
export function recordDecided(
  { opened: state, store, money }: Books,
  { transfers, earnings, lots }: Decided,
  items: readonly OutboxItem[] = [],
  alerts: readonly BudgetAlert[] = [],
): void {
  // Its transfers would fork its journal, and the ledger would take none of them.
  if (state.standing !== "open") throw new OctoError("unavailable", lost(state).reason);
  const all = [...transfers, ...items.flatMap((item) => item.resolution.transfers)];
  const rows = enterJournal(state, all);
  store.save(state);
  money.saveLots(state, lots);
  money.saveBuckets(state, placesOf(state, transfers));
  store.appendOutbox(outboxPayload(items, rows, earnings, alerts));
}

/** The places that moved and are not in the account's own row. */
function placesOf({ accountId }: AccountState, transfers: readonly Transfer[]) {
  const places = transfers.flatMap(({ debit, credit, asset }) => {
    return [debit, credit].flatMap((book) => {
      const owner = ownerOf(book);
      return owner?.accountId === accountId ? [{ asset, bucket: owner.bucket }] : [];
    });
  });
  return places.filter(({ asset, bucket }) => {
    return asset !== "CREDIT" || (bucket !== "available" && bucket !== "earned");
  });
}
