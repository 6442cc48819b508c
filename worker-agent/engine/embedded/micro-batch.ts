/*
 * Gathers items of many tasks into batches for a model that does many at once for little more than
 * the cost of one.
 *
 * M1. A batch starts when enough items wait, or the oldest of them has waited for its time, or
 *     nobody else is expected, and never while another runs: what comes in the meantime makes the
 *     next one.
 * M2. Tasks take turns: a task of thousands of items delays a small one by one batch.
 * M3. Items of like size share a run, so that little of it is padding.
 * M4. A run that fails is repeated in halves, down to the item that fails alone: only its task
 *     fails.
 * M5. A task that was aborted, or has failed, takes no further place in any batch.
 */

export interface BatchLimits {
  /** Of one run. */
  readonly itemsMax: number;
  /** Of one run: its items times the size of the largest, which the others are padded to. */
  readonly paddedMax: number;
  /** How long the first item waits for others. */
  readonly waitMs: number;
}

/** Calls `run` once after so many milliseconds; gives what calls it off. */
export type After = (ms: number, run: () => void) => () => void;

export interface MicroBatchOptions<Item, Result> {
  readonly limits: BatchLimits;
  /** What an item costs to run, say its tokens. At least 1. */
  readonly sizeOf: (item: Item) => number;
  /** Runs items together and gives a result for each, in their order. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>;
  /**
   * Whether more tasks are on their way than the number of those that wait already. A task that is
   * alone then starts at once; without it every batch waits for its time.
   */
  readonly expectsMore?: (waitingTasks: number) => boolean;
  readonly after?: After;
}

interface Group<Item, Result> {
  /** Places in the task's own order, the smallest items last: they are taken from the end. */
  readonly left: { readonly item: Item; readonly place: number }[];
  readonly results: Result[];
  missing: number;
  isOver: boolean;
  readonly end: (error: unknown) => void;
  readonly finish: () => void;
}

interface Entry<Item, Result> {
  readonly group: Group<Item, Result>;
  readonly item: Item;
  readonly place: number;
}

export class MicroBatcher<Item, Result> {
  readonly #options: MicroBatchOptions<Item, Result>;
  readonly #after: After;
  /** The task whose turn it is comes first. */
  readonly #groups = new Set<Group<Item, Result>>();
  #waiting = 0;
  #isRunning = false;
  #callOff: (() => void) | null = null;

  constructor(options: MicroBatchOptions<Item, Result>) {
    this.#options = options;
    this.#after = options.after ?? afterTimeout;
  }

  /** How many items wait for a batch. */
  get waitingCount(): number {
    return this.#waiting;
  }

  /**
   * The results of a task's items, in their order. Rejects with the failure of the first item that
   * fails, or with the reason of `signal`.
   */
  add(items: readonly Item[], signal: AbortSignal): Promise<readonly Result[]> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (items.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      const { sizeOf } = this.#options;
      const left = items.map((item, place) => ({ item, place }));
      left.sort((a, b) => sizeOf(b.item) - sizeOf(a.item));
      const leave = (): void => {
        signal.removeEventListener("abort", onAbort);
        group.isOver = true;
        if (this.#groups.delete(group)) this.#waiting -= group.left.length;
      };
      const end = (error: unknown): void => {
        leave();
        reject(error);
      };
      const onAbort = (): void => end(signal.reason);
      const results: Result[] = Array.from({ length: items.length });
      const finish = (): void => {
        leave();
        resolve(results);
      };
      const group = { left, results, missing: items.length, isOver: false, end, finish };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#groups.add(group);
      this.#waiting += items.length;
      this.#schedule();
    });
  }

  /** Ends every task that still waits. */
  close(error: unknown): void {
    this.#callOff?.();
    this.#callOff = null;
    for (const group of this.#groups) group.end(error);
  }

  #schedule(): void {
    if (this.#isRunning || this.#waiting === 0) return;
    const { itemsMax, waitMs } = this.#options.limits;
    const expectsMore = this.#options.expectsMore?.(this.#groups.size) ?? true;
    if (this.#waiting >= itemsMax || !expectsMore) {
      this.#start();
      return;
    }
    this.#callOff ??= this.#after(waitMs, () => this.#start());
  }

  #start(): void {
    this.#callOff?.();
    this.#callOff = null;
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#drain();
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting > 0) {
        const entries = this.#take();
        const { limits, sizeOf } = this.#options;
        const sizes = entries.map(({ item }) => sizeOf(item));
        for (const run of planRuns(sizes, limits)) {
          await this.#run(run.flatMap((at) => entries[at] ?? []));
        }
      }
    } finally {
      this.#isRunning = false;
    }
  }

  /** One item of each task in turn, until the batch is full. */
  #take(): Entry<Item, Result>[] {
    const taken: Entry<Item, Result>[] = [];
    while (taken.length < this.#options.limits.itemsMax) {
      const [group] = this.#groups;
      const next = group?.left.pop();
      if (group === undefined || next === undefined) break;
      taken.push({ group, ...next });
      this.#waiting -= 1;
      this.#groups.delete(group);
      if (group.left.length > 0) this.#groups.add(group);
    }
    return taken;
  }

  async #run(entries: readonly Entry<Item, Result>[]): Promise<void> {
    const wanted = entries.filter(({ group }) => !group.isOver);
    if (wanted.length === 0) return;
    try {
      const results = await this.#options.run(wanted.map(({ item }) => item));
      for (const [at, { group, place }] of wanted.entries()) {
        if (group.isOver) continue;
        group.results[place] = results[at] as Result;
        group.missing -= 1;
        if (group.missing === 0) group.finish();
      }
    } catch (error) {
      if (wanted.length === 1) {
        for (const { group } of wanted) if (!group.isOver) group.end(error);
        return;
      }
      const middle = Math.ceil(wanted.length / 2);
      await this.#run(wanted.slice(0, middle));
      await this.#run(wanted.slice(middle));
    }
  }
}

/** A run this small is dominated by its fixed cost, however much of it is padding. */
const smallPadded = 512;

/**
 * Which items run together: places in `sizes`, each in one run. A run has at most `itemsMax` items
 * and `paddedMax` in padded size (or one item alone), and an item of less than half the size of
 * the largest joins it only while the run is small.
 */
export function planRuns(
  sizes: readonly number[],
  { itemsMax, paddedMax }: Pick<BatchLimits, "itemsMax" | "paddedMax">,
): number[][] {
  const sizeAt = (at: number): number => sizes[at] ?? 0;
  const order = [...sizes.keys()].sort((a, b) => sizeAt(b) - sizeAt(a) || a - b);
  const runs: number[][] = [];
  let run: number[] = [];
  for (const at of order) {
    const [first] = run;
    const largest = first === undefined ? 0 : sizeAt(first);
    const padded = (run.length + 1) * largest;
    const isLike = sizeAt(at) * 2 >= largest || padded <= smallPadded;
    if (first !== undefined && run.length < itemsMax && padded <= paddedMax && isLike) {
      run.push(at);
      continue;
    }
    run = [at];
    runs.push(run);
  }
  return runs;
}

const afterTimeout: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};
