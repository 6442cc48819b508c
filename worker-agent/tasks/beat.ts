/** A timer may fire, and a clock be read, a little before its time. */
const earlyMs = 2;

/**
 * The last beat up to `dueMs`, in milliseconds since this process began: beats come once a pace.
 * All attempts of a worker send on them, because a hub pays for messages and hardly for the frames
 * in one; and each worker has beats of its own, or all would speak to their hub at one moment.
 */
export function onBeat(dueMs: number, paceMs: number): number {
  if (paceMs === 0) return dueMs;
  const latestMs = dueMs + earlyMs;
  return latestMs - (latestMs % paceMs);
}
