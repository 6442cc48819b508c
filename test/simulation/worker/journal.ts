import type { ReceiptEntry } from "../../../worker-agent/tasks/receipt-journal.ts";
import type { Schedule } from "../schedule.ts";

/** As in worker-agent/tasks/receipt-journal.ts: receipts reach the disk in groups. */
const groupMs = 25;

/**
 * A worker's receipts on its disk: what was kept for less than a group's time dies with the
 * process.
 */
export class Journal {
  readonly #schedule: Schedule;
  readonly #entries = new Map<string, { readonly entry: ReceiptEntry; safeMs: number }>();

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  get count(): number {
    return this.#entries.size;
  }

  keep(entry: ReceiptEntry): void {
    const safeMs = this.#schedule.nowMs + groupMs;
    this.#entries.set(entry.signed.receipt.attempt, { entry, safeMs });
  }

  has(attempt: string): boolean {
    return this.#entries.has(attempt);
  }

  entries(): ReceiptEntry[] {
    return [...this.#entries.values()].map(({ entry }) => entry);
  }

  acknowledge(attempts: readonly string[]): void {
    for (const attempt of attempts) this.#entries.delete(attempt);
  }

  flush(): void {
    for (const kept of this.#entries.values()) kept.safeMs = this.#schedule.nowMs;
  }

  /** The process was killed. */
  crash(): void {
    for (const [attempt, { safeMs }] of this.#entries) {
      if (safeMs > this.#schedule.nowMs) this.#entries.delete(attempt);
    }
  }
}
