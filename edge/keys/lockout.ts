/**
 * What stops a guesser of secrets. Counted by the id that was presented, known or not, and never by
 * a secret:
 * X1. Five wrong secrets for one id within 300 seconds lock it for 300 seconds from the fifth; what
 *     is tried meanwhile does not lengthen that, so nobody can keep it locked without a pause.
 * X2. While an id is locked every wrong secret is refused alike, and so is a right one that nobody
 *     has proven lately. A key in use goes on working: whoever knows its id cannot lock its owner
 *     out.
 * An isolate counts what it sees itself; what an address tries with many ids is counted for a whole
 * location (rates/count-calls.ts). A guess has a chance of one in 2^256, so that five for
 * each isolate are as hopeless as five in all, and no wrong secret costs a call.
 */
export interface Lockouts {
  readonly failuresById: Map<string, { count: number; untilMs: number }>;
}

const failuresMax = 5;
export const lockMs = 300_000;
/** Ids that are watched at a time: a megabyte at most. Beyond it the oldest are let go. */
const idsMax = 10_000;

export function createLockouts(): Lockouts {
  return { failuresById: new Map() };
}

/** A wrong secret was presented for an id that is not locked. */
export function noteFailure(lockouts: Lockouts, id: string, nowMs: number): void {
  const { failuresById } = lockouts;
  const known = failuresById.get(id);
  if (known === undefined || known.untilMs <= nowMs) {
    failuresById.delete(id);
    makeRoom(lockouts, nowMs);
    failuresById.set(id, { count: 1, untilMs: nowMs + lockMs });
    return;
  }
  known.count += 1;
  if (known.count === failuresMax) known.untilMs = nowMs + lockMs;
}

/** For how long the id is still locked; 0 where it is not. */
export function lockedForMs(lockouts: Lockouts, id: string, nowMs: number): number {
  const known = lockouts.failuresById.get(id);
  if (known === undefined || known.count < failuresMax) return 0;
  return Math.max(0, known.untilMs - nowMs);
}

function makeRoom({ failuresById }: Lockouts, nowMs: number): void {
  if (failuresById.size < idsMax) return;
  for (const [id, { untilMs }] of failuresById) {
    if (untilMs <= nowMs) failuresById.delete(id);
  }
  const [oldest] = failuresById.keys();
  if (failuresById.size >= idsMax && oldest !== undefined) failuresById.delete(oldest);
}
