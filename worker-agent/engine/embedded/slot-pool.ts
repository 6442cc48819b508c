/** A fixed set of slots, lent in the order they are asked for. */
export class SlotPool<Slot> {
  /** The one that was given back longest ago first: a Set keeps the order of insertion. */
  readonly #free: Set<Slot>;
  /** Oldest first; an aborted waiter is forgotten at once. */
  readonly #waiters = new Set<(slot: Slot) => void>();

  constructor(slots: readonly Slot[]) {
    this.#free = new Set(slots);
  }

  get freeCount(): number {
    return this.#free.size;
  }

  get waitingCount(): number {
    return this.#waiters.size;
  }

  /**
   * A slot, or null where `signal` aborted first. `choose` picks among several free ones, which
   * come least recently used first; else it is the first. Whoever takes a slot gives it back.
   */
  async take(
    signal: AbortSignal,
    choose?: (free: readonly Slot[]) => Slot | undefined,
  ): Promise<Slot | null> {
    if (signal.aborted) return null;
    const [first] = this.#free;
    if (first !== undefined) {
      const slot = (this.#free.size > 1 ? choose?.([...this.#free]) : undefined) ?? first;
      this.#free.delete(slot);
      return slot;
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
