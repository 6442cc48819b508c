import { describeError } from "../shared/log.ts";
import { edgeLog } from "./log.ts";

/**
 * Work that is gathered: asked for any number of times, done once a little later. A pending timer
 * keeps its Durable Object in memory (compatibility date 2026-10-01), so nobody has to wait for it.
 */
export class Later {
  readonly #run: () => Promise<void>;
  #armed = false;

  constructor(run: () => Promise<void>) {
    this.#run = run;
  }

  arm(delayMs: number): void {
    if (this.#armed) return;
    this.#armed = true;
    setTimeout(() => {
      this.#armed = false;
      this.#run().catch((error: unknown) => {
        // Whatever may fail in ordinary life is handled where it fails; this is a bug's last stop.
        edgeLog("error", "gathered work failed", { error: describeError(error) });
      });
    }, delayMs);
  }
}
