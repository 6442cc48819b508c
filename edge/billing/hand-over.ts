import { describeError } from "../../shared/log.ts";
import { edgeLog } from "../log.ts";

/**
 * Settlements arrive in groups; the ledger gets them together a little later. Where that takes long
 * it is done less often, so that it takes a twentieth of the time at most.
 */
const gatherMs = { least: 250, most: 2_000, timesTaken: 20 } as const;
/**
 * After a failed hand-over: the database is down, so there is no hurry, but a person is waiting for
 * a statement.
 */
const retryMs = 5_000;

/** When an account's outbox is handed over: by alarm, which survives a crash of its object. */
export class HandOver {
  readonly #storage: DurableObjectStorage;
  readonly #drain: () => Promise<void>;
  #running: Promise<void> | null = null;
  #gatherMs: number = gatherMs.least;

  constructor(storage: DurableObjectStorage, drain: () => Promise<void>) {
    this.#storage = storage;
    this.#drain = drain;
  }

  /** Soon, or at once where a person is waiting. */
  async schedule(when: "soon" | "now"): Promise<void> {
    // Only where no alarm is set, as every alarm costs a row.
    if ((await this.#storage.getAlarm()) === null) {
      await this.#storage.setAlarm(Date.now() + (when === "now" ? 0 : this.#gatherMs));
    }
  }

  async run(): Promise<void> {
    this.#running ??= this.#runOnce().finally(() => (this.#running = null));
    await this.#running;
  }

  async #runOnce(): Promise<void> {
    const startMs = Date.now();
    try {
      await this.#drain();
      const wantedMs = (Date.now() - startMs) * gatherMs.timesTaken;
      this.#gatherMs = Math.min(gatherMs.most, Math.max(gatherMs.least, wantedMs));
    } catch (error) {
      // The rows stay where they are, so nothing is lost: they are handed over when the database is
      // back.
      edgeLog("warn", "outbox not handed over", { error: describeError(error) });
      await this.#storage.setAlarm(Date.now() + retryMs);
    }
  }
}
