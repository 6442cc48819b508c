/** What the driver is told to do. */
export interface PairsOrder {
  readonly accountIds: readonly string[];
  readonly keyIds: readonly string[];
  readonly providerId: string;
  /** Tasks at the same time, over all accounts. */
  readonly clients: number;
  readonly durationMs: number;
}

/** What it did: from a task's hold until its settlement was durable, in ms, one a task. */
export interface PairsDone {
  readonly ms: readonly number[];
  readonly seconds: number;
}
