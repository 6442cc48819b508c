/** An invariant did not hold. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly invariant: string;

  constructor(invariant: string, why: string) {
    super(`${invariant}: ${why}`);
    this.invariant = invariant;
  }
}

export function hold(condition: boolean, invariant: string, why: () => string): void {
  if (!condition) throw new Violation(invariant, why());
}

/** What one worker really put on the wire for one attempt that it had been offered. */
export interface SentAttempt {
  readonly workerId: string;
  readonly isHonest: boolean;
  readonly texts: string[];
  /** What it went on from; empty where it began the answer. */
  given: string;
  /** What comes out of turn was never part of the answer. */
  seqNext: number;
  /** Whether the engine came to its own end and all of it was sent. */
  isComplete: boolean;
}

/** What really happened, known to the checkers alone. */
export class Truth {
  readonly attempts = new Map<string, SentAttempt>();
  /** The session each attempt was offered to: attempt ids are never used twice. */
  readonly sessionByAttempt = new Map<string, string>();
  /** Attempts whose receipt a hub found false. */
  readonly rejected = new Set<string>();
  /** Bytes of output that reached the hub for an attempt. */
  readonly bytesByAttempt = new Map<string, number>();
  /** The tokens a worker claimed at an attempt's end. */
  readonly claimedByAttempt = new Map<string, number>();
  /** Tasks that are agreed to go to the workers of one account alone. */
  readonly ownTasks = new Map<string, string>();
  /** How tasks ended for their consumers. */
  readonly endings = new Map<string, string>();
  /** Things worth counting over many seeds. */
  readonly counts = new Map<string, number>();

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}
