import type { Log } from "../../shared/log.ts";
import { describeError } from "../../shared/log.ts";
import type { Pause } from "../serving/availability.ts";
import type { Control } from "./control-file.ts";
import { changeControl, controlPath, readControl } from "./control-file.ts";
import type { LockOwner } from "./lock.ts";

/** Soon enough for somebody who waits for it; a file this small costs nothing to read. */
const lookEveryMs = 500;

/**
 * Watches what is asked of this worker. It reads again and again: file events are lost on network
 * drives and differ between systems.
 */
export class ControlWatch implements AsyncDisposable {
  readonly #stateDir: string;
  readonly #owner: LockOwner;
  readonly #log: Log;
  readonly #leave = new AbortController();
  readonly #hurry = new AbortController();
  #pause: Pause | null = null;
  #isUnread = false;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> = Promise.resolve();
  #isOver = false;

  private constructor(stateDir: string, owner: LockOwner, log: Log) {
    this.#stateDir = stateDir;
    this.#owner = owner;
    this.#log = log;
  }

  /** Knows from the start whether the worker is paused. */
  static async start(stateDir: string, owner: LockOwner, log: Log): Promise<ControlWatch> {
    const watch = new ControlWatch(stateDir, owner, log);
    await watch.#look();
    watch.#wait();
    return watch;
  }

  get pause(): Pause | null {
    return this.#pause;
  }

  /** Aborted once the worker is asked to leave. */
  get leave(): AbortSignal {
    return this.#leave.signal;
  }

  /** Aborted once it is asked to leave at once. */
  get hurry(): AbortSignal {
    return this.#hurry.signal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#looking;
    if (!this.#leave.signal.aborted) return;
    await changeControl(this.#stateDir, { stop: null }).catch((error: unknown) => {
      // It names a process that is gone, so it stops nobody.
      this.#log("debug", "Cannot clear what was asked", { error: describeError(error) });
    });
  }

  #wait(): void {
    if (this.#isOver) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().then(() => this.#wait());
    }, lookEveryMs);
  }

  async #look(): Promise<void> {
    const control = await readControl(this.#stateDir);
    if (control === null) {
      // A wish that cannot be read changes nothing: a paused worker stays paused.
      if (!this.#isUnread) {
        const remedy = "octo-worker resume or pause writes it anew";
        this.#log("warn", "Cannot read what is asked of this worker", {
          file: controlPath(this.#stateDir),
          remedy,
        });
      }
      this.#isUnread = true;
      return;
    }
    this.#isUnread = false;
    this.#take(control);
  }

  #take({ pause, stop }: Control): void {
    this.#pause = pause === null ? null : { sinceMs: pause.since_ms, untilMs: pause.until_ms };
    const { pid, started } = this.#owner;
    if (stop === null || stop.pid !== pid || stop.started !== started) return;
    if (!this.#leave.signal.aborted) {
      this.#log("info", "Asked to stop", { now: stop.now });
      this.#leave.abort();
    }
    if (stop.now) this.#hurry.abort();
  }
}
