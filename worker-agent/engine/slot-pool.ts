/** A fixed set of slots, lent in the order they are asked for. */
export class SlotPool<Slot> {
  readonly #all: readonly Slot[];
  readonly #free: Set<Slot>;
  /** Oldest first: a Set keeps the order of insertion and forgets an aborted waiter at once. */
  readonly #waiters = new Set<(slot: Slot) => void>();

  constructor(slots: readonly Slot[]) {
    this.#all = slots;
    this.#free = new Set(slots);
  }

  get freeCount(): number {
    return this.#free.size;
  }

  get waitingCount(): number {
    return this.#waiters.size;
  }

  /**
   * A slot, or null where `signal` aborted first. Always the first free one of the set, so that a
   * task that is alone runs in the same place every time. Whoever takes a slot gives it back.
   */
  async take(signal: AbortSignal): Promise<Slot | null> {
    if (signal.aborted) return null;
    const free = this.#all.find((slot) => this.#free.has(slot));
    if (free !== undefined) {
      this.#free.delete(free);
      return free;
    }
    return new Promise((resolve) => {
      const onAbort = (): void => {
        this.#waiters.delete(onSlot);
        resolve(null);
      };
      const onSlot = (slot: Slot): void => {
        signal.removeEventListener("abort", onAbort);
        resolve(slot);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(onSlot);
    });
  }

  give(slot: Slot): void {
    const [waiter] = this.#waiters;
    if (waiter === undefined) {
      this.#free.add(slot);
      return;
    }
    this.#waiters.delete(waiter);
    waiter(slot);
  }
}
