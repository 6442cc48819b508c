/** Why a socket is closed. 4xxx is the range RFC 6455 section 7.4.2 leaves to applications. */
export const closeCodes = {
  /** The worker says goodbye: it has drained. */
  done: 1000,
  /** The edge is going away; come back after the spread in the reason. */
  restart: 4503,
  unproven: 4401,
  /**
   * The account that the worker names has not taken it on: its owner may do so at any time, so come
   * back, but slowly.
   */
  refused: 4403,
  /** A newer connection of the same identity took over: do not come back. */
  replaced: 4409,
  versionTooOld: 4426,
  hubFull: 4429,
  malformed: 4400,
  frameTooLarge: 4413,
  flood: 4420,
  silent: 4408,
} as const;

export type CloseName = keyof typeof closeCodes;

/** Close reasons are at most 123 bytes (RFC 6455 section 5.5). */
export const closeReasonBytesMax = 123;

/** What a worker does after a close: come back, or stop because coming back cannot help. */
export function isFinalClose(code: number): boolean {
  return (
    code === closeCodes.replaced || code === closeCodes.versionTooOld || code === closeCodes.done
  );
}

/** `text` cut to fit a close frame, at a character's end. A peer may have made it any length. */
export function closeReason(text: string): string {
  let reason = "";
  let bytes = 0;
  const encoder = new TextEncoder();
  for (const character of text) {
    const wellFormed = character.toWellFormed();
    bytes += encoder.encode(wellFormed).length;
    if (bytes > closeReasonBytesMax) break;
    reason += wellFormed;
  }
  return reason;
}

/**
 * The milliseconds over which workers should spread their return, from a close reason like
 * `spread_ms=15000`.
 */
export function spreadMsOf(reason: string): number | null {
  const match = /\bspread_ms=(\d{1,6})\b/.exec(reason);
  return match?.[1] === undefined ? null : Number(match[1]);
}
