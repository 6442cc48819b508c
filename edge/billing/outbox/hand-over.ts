import { describeError } from "../../../shared/log.ts";
import { edgeLog } from "../../log.ts";
import { wakeBy } from "../../wake-by.ts";

/** Settlements arrive in groups; the ledger gets them together a little later. */
const gatherMs = 250;
/**
 * An account that is busy is not handed over more often than this, because it costs the same for
 * one group as for several; and where it takes long, not more than a twentieth of the time.
 */
const everyMs = { least: 4_000, most: 8_000, timesTaken: 20 } as const;
/** What a handful of tasks moved: whoever asks seldom sees at once what it cost. */
const fewTransfers = 32;
/**
 * After a failed hand-over: the database is down, so there is no hurry, but a person is waiting for
 * a statement.
 */
const retryMs = 5_000;
/** An alarm hands over what an object that was lost had not: so long after it should have. */
const lostMs = 30_000;

/** What there is to do, now and later. */
export interface HandOverWork {
  /** Gives how many transfers there were. */
  readonly drain: () => Promise<number>;
  readonly isEmpty: () => boolean;
  /** When time changes something of the account; null for never. */
  readonly nextMs: () => readonly (number | null)[];
}

/**
 * When an account's outbox is handed over: by a timer, which keeps its object in memory until then,
 * because an alarm costs a row and a call. The one alarm of an object, which survives a crash, is
 * set seldom, for what the timer of a lost object left; it also wakes the object when time changes
 * something.
 */
export class HandOver {
  readonly #storage: DurableObjectStorage;
  readonly #work: HandOverWork;
  #running: Promise<void> | null = null;
  #nextMs = 0;
  #timer: { readonly atMs: number; readonly id: ReturnType<typeof setTimeout> } | null = null;
  /** The alarm goes off at this time or before it; 0 where that is not known. */
  #alarmMs = 0;
  /** A database that was away just now is left alone until then. */
  #notBeforeMs = 0;

  constructor(storage: DurableObjectStorage, work: HandOverWork) {
    this.#storage = storage;
    this.#work = work;
  }

  /** Whether an alarm is owed: the object may have died between a change and the alarm for it. */
  get isOwed(): boolean {
    return !this.#work.isEmpty() || this.#work.nextMs().some((ms) => ms !== null);
  }

  /** Soon, or at once where a person is waiting. */
  async schedule(when: "soon" | "now"): Promise<void> {
    const nowMs = Date.now();
    const atMs = when === "now" ? nowMs : Math.max(nowMs + gatherMs, this.#nextMs);
    await this.#startBy(Math.max(atMs, this.#notBeforeMs));
  }

  /** For whatever is to be done next, if anything. */
  async plan(outbox: "soon" | "now" = "soon"): Promise<void> {
    if (!this.#work.isEmpty()) await this.schedule(outbox);
    for (const nextMs of this.#work.nextMs()) {
      if (nextMs !== null) await wakeBy(this.#storage, nextMs);
    }
  }

  /** The same, for a person who waits for what comes of it. */
  async planned<T>(result: T): Promise<T> {
    await this.plan("now");
    return result;
  }

  /** By the alarm, which is over then. */
  async run(): Promise<void> {
    this.#alarmMs = 0;
    await this.#run();
  }

  async #startBy(atMs: number): Promise<void> {
    // A longer timer would keep the object in memory while nothing can be done.
    if (atMs - Date.now() > everyMs.least) return wakeBy(this.#storage, atMs);
    if (this.#timer === null || atMs < this.#timer.atMs) {
      if (this.#timer !== null) clearTimeout(this.#timer.id);
      const id = setTimeout(() => void this.#runByTimer(), Math.max(0, atMs - Date.now()));
      this.#timer = { atMs, id };
    }
    if (this.#alarmMs > atMs) return;
    this.#alarmMs = atMs + lostMs;
    await wakeBy(this.#storage, this.#alarmMs);
  }

  async #runByTimer(): Promise<void> {
    this.#timer = null;
    await this.#run();
    await this.plan();
  }

  async #run(): Promise<void> {
    this.#running ??= this.#runOnce().finally(() => (this.#running = null));
    await this.#running;
  }

  async #runOnce(): Promise<void> {
    const startMs = Date.now();
    try {
      const transfers = await this.#work.drain();
      this.#notBeforeMs = 0;
      const wantedMs = (Date.now() - startMs) * everyMs.timesTaken;
      const leastMs = transfers <= fewTransfers ? gatherMs : everyMs.least;
      this.#nextMs = startMs + Math.min(everyMs.most, Math.max(leastMs, wantedMs));
    } catch (error) {
      // The rows stay where they are, so nothing is lost: they are handed over when the database is
      // back.
      edgeLog("warn", "outbox not handed over", { error: describeError(error) });
      this.#notBeforeMs = Date.now() + retryMs;
      await this.#startBy(this.#notBeforeMs);
    }
  }
}
