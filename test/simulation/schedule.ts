export interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  isCancelled: boolean;
}

/** Where virtual time begins: any fixed moment will do. */
export const epochMs = 1_800_000_000_000;

/**
 * Virtual time: a heap of what is to come. Things of the same millisecond come in the order they
 * were planned.
 */
export class Schedule {
  nowMs = epochMs;
  count = 0;
  readonly #heap: Scheduled[] = [];
  #order = 0;

  /** How much virtual time has passed. */
  get elapsedMs(): number {
    return this.nowMs - epochMs;
  }

  at(atMs: number, run: () => void): Scheduled {
    const entry = {
      atMs: Math.max(atMs, this.nowMs),
      order: this.#order++,
      run,
      isCancelled: false,
    };
    this.#heap.push(entry);
    this.#siftUp(this.#heap.length - 1);
    return entry;
  }

  after(delayMs: number, run: () => void): Scheduled {
    return this.at(this.nowMs + delayMs, run);
  }

  /** Runs the next thing due by `untilMs`; false where there is none. */
  step(untilMs: number): boolean {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.atMs > untilMs) return false;
      this.#pop();
      if (first.isCancelled) continue;
      // Where time has jumped, what was due before is late.
      this.nowMs = Math.max(this.nowMs, first.atMs);
      this.count += 1;
      first.run();
      return true;
    }
  }

  /** Runs everything due by `untilMs`, which is then the time. */
  runUntil(untilMs: number): void {
    while (this.step(untilMs));
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      const least = this.#isBefore(right, left) ? right : left;
      if (!this.#isBefore(least, at)) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #siftUp(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const first = this.#heap[a];
    const second = this.#heap[b];
    if (first === undefined || second === undefined) return first !== undefined;
    return first.atMs === second.atMs ? first.order < second.order : first.atMs < second.atMs;
  }

  #swap(a: number, b: number): void {
    const first = this.#heap[a];
    const second = this.#heap[b];
    if (first === undefined || second === undefined) return;
    this.#heap[a] = second;
    this.#heap[b] = first;
  }
}
