import { spreadMsOf } from "../../shared/protocol/close-codes.ts";
import type { Random } from "./session.ts";

/** The first retry comes within half a second: most losses are a hub that moved. */
const firstDelayMs = 500;
/**
 * A worker that nobody answers asks twice a minute: a hundred thousand of them are 3,000 dials a
 * second.
 */
const longestDelayMs = 30_000;
/** A worker in the middle of an answer is waited for no longer than this by the hub's successor. */
const busyDelayMs = 2_000;
/** A session this long was a good one: what ended it says nothing about the next. */
export const steadySessionMs = 30_000;

export interface Loss {
  readonly reason: string;
  /** Sessions that failed early in a row, this one included. */
  readonly failures: number;
  /** Whether an attempt was running. */
  readonly wasBusy: boolean;
}

/**
 * How long to wait before dialling again: a hub's own spread, else exponential with full jitter.
 */
export function retryDelayMs(loss: Loss, random: Random): number {
  const doublings = Math.min(Math.max(loss.failures - 1, 0), 16);
  const backoffMs = Math.min(longestDelayMs, firstDelayMs * 2 ** doublings);
  const rangeMs = spreadMsOf(loss.reason) ?? backoffMs;
  return Math.floor(random() * (loss.wasBusy ? Math.min(rangeMs, busyDelayMs) : rangeMs));
}
