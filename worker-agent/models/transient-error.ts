/** A failure of a download after which trying again can help. */
export class TransientError extends Error {
  override readonly name = "TransientError";
  /** What the server asked for by Retry-After; 0 where it asked for nothing. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs = 0) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The server has another version now than the one that was begun. */
export class ChangedError extends Error {
  override readonly name = "ChangedError";
}

export function isTransient(error: unknown): boolean {
  if (error instanceof TransientError) return true;
  // `fetch` reports every failure of the network as a TypeError, and a broken body as "terminated".
  return error instanceof TypeError;
}

/** Milliseconds from a Retry-After of seconds or of a date (RFC 9110, section 10.2.3); else 0. */
export function retryAfterMs(header: string | null, nowMs: number): number {
  if (header === null) return 0;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs);
}

export interface RetryPolicy {
  /** Attempts in a row that may bring no new byte, and the wait after the first, then doubled. */
  readonly attemptsMax: number;
  readonly firstRetryMs: number;
}

const retryMsMax = 30_000;
/** A server that asks for more patience than this is asked again by the provider, not by us. */
const askedMsMax = 600_000;

/** How long to wait after so many failures in a row, or null where it is time to give up. */
export function retryDelayMs(failures: number, error: unknown, policy: RetryPolicy): number | null {
  if (!isTransient(error) || failures >= policy.attemptsMax) return null;
  const asked = error instanceof TransientError ? error.retryAfterMs : 0;
  if (asked > askedMsMax) return null;
  return Math.max(asked, Math.min(policy.firstRetryMs * 2 ** (failures - 1), retryMsMax));
}

/** Resolves after `ms`, or rejects with the signal's reason. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
