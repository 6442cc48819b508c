import type { Settlements } from "../../../edge/db/ledger/tasks.ts";
import type { JournalRow } from "../../../shared/journal.ts";
import type { Micros } from "../../../shared/money.ts";
import { hold } from "../truth.ts";

type Row = Settlements["transfers"][number];

/** The ledger in libSQL: rows by primary key, the same one any number of times. */
export class Ledger {
  isDown = false;
  readonly #transfers = new Map<string, Row>();
  readonly taskIds = new Set<string>();

  record(settlements: Settlements): void {
    for (const task of settlements.tasks) this.taskIds.add(task.id);
    for (const row of settlements.transfers) {
      const known = this.#transfers.get(row.id);
      const isSame = known === undefined || known.amountMicros === row.amountMicros;
      hold(isSame, "I12", () => `transfer ${row.id} is told in two ways`);
      this.#transfers.set(row.id, row);
    }
  }

  /** What an account decided, in the order of its journal. */
  journalOf(accountId: string): JournalRow[] {
    const rows = [...this.#transfers.values()].filter(({ source }) => source === accountId);
    return (rows as JournalRow[]).toSorted((a, b) => a.sourceSeq - b.sourceSeq);
  }

  /**
   * Every ledger account's balance by asset and name; they add up to zero because every row has two
   * sides.
   */
  balances(): Map<string, Micros> {
    const balances = new Map<string, Micros>();
    const add = (name: string, micros: Micros) =>
      balances.set(name, (balances.get(name) ?? 0n) + micros);
    for (const row of this.#transfers.values()) {
      add(`${row.asset} ${row.debitAccount}`, -row.amountMicros);
      add(`${row.asset} ${row.creditAccount}`, row.amountMicros);
    }
    return balances;
  }
}
