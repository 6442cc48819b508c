/**
 * An engine that never waits would keep sockets and timers from their turn for longer than this.
 */
const turnMs = 8;

let startedMs: number | null = null;

/**
 * Whether this turn of the event loop has lasted too long. An engine that waits for its tokens ends
 * the turn by that, and is not made to wait once more: a stream that did would miss the step that
 * it shares with the others.
 */
export function isTurnLong(): boolean {
  if (startedMs !== null) return performance.now() - startedMs > turnMs;
  startedMs = performance.now();
  setImmediate(() => {
    startedMs = null;
  });
  return false;
}
