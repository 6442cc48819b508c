/** The longest rest that is believed: after it the server is asked whether it is well. */
const retryAfterMsMax = 10 * 60_000;

/**
 * Milliseconds of a `retry-after` header (RFC 9110 section 10.2.3: seconds or a date), or null
 * where there is none that can be read.
 */
export function retryAfterMsOf(header: string | null, nowMs: number): number | null {
  if (header === null || header.trim() === "") return null;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - nowMs;
  if (Number.isNaN(ms)) return null;
  return Math.round(Math.min(Math.max(ms, 0), retryAfterMsMax));
}
