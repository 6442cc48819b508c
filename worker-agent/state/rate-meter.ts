/**
 * Tokens a second, now: every token counts less the older it is, and half as much after some three
 * seconds.
 */
export class RateMeter {
  #sum = 0;
  #atMs = 0;

  add(tokens: number, nowMs: number): void {
    this.#sum = this.#decayed(nowMs) + tokens;
    this.#atMs = nowMs;
  }

  perSecond(nowMs: number): number {
    const rate = (this.#decayed(nowMs) * 1_000) / fadeMs;
    return Math.round(rate * 10) / 10;
  }

  #decayed(nowMs: number): number {
    return this.#sum * Math.exp(-Math.max(0, nowMs - this.#atMs) / fadeMs);
  }
}

/** Long enough for a steady number, short enough to see a model start and stop. */
const fadeMs = 5_000;
