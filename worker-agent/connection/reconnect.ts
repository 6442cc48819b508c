import { closeCodes, spreadMsOf } from "../../shared/protocol/close-codes.ts";
import type { Random } from "./session.ts";

/** The first retry comes within half a second: most losses are a hub that moved. */
const firstDelayMs = 500;
/**
 * A worker that nobody answers asks twice a minute: a hundred thousand of them are 3,000 dials a
 * second.
 */
const longestDelayMs = 30_000;
/**
 * A worker that was refused waits for a person, who may be at it just now, or never come: the first
 * tries find the one, and a thousand forgotten workers are a few dials a second.
 */
const firstRefusedDelayMs = 5_000;
const longestRefusedDelayMs = 5 * 60_000;
/** A worker in the middle of an answer is waited for no longer than this by the hub's successor. */
const busyDelayMs = 2_000;
/** A session this long was a good one: what ended it says nothing about the next. */
export const steadySessionMs = 30_000;

export interface Loss {
  /** The close code: RFC 6455's own, or one of ours with a reason for it. */
  readonly code: number;
  readonly reason: string;
  /** The hub's wish for a loss without a word; null where there was no welcome, or none in it. */
  readonly spreadMs: number | null;
  /** Sessions that failed early in a row, this one included. */
  readonly failures: number;
  /** Whether an attempt was running. */
  readonly wasBusy: boolean;
}

/** The first of the codes that are ours: below it nobody has said why. */
const applicationCodesMin = 4_000;

/**
 * Whether a connection was lost without a word: a machine, a network, an object of the edge was
 * there and is gone, most likely for all its workers at once.
 */
function isUnexplained(code: number): boolean {
  return code < applicationCodesMin || code === closeCodes.silent;
}

/**
 * How long to wait before dialling again: uniform over the hub's own spread, told with the close
 * or, for a loss without a word, with the welcome; else exponential with full jitter. Slower, and
 * with half of it jitter, where the worker was refused.
 */
export function retryDelayMs(loss: Loss, random: Random): number {
  const doublings = Math.min(Math.max(loss.failures - 1, 0), 16);
  if (loss.code === closeCodes.refused) {
    const delayMs = Math.min(longestRefusedDelayMs, firstRefusedDelayMs * 2 ** doublings);
    // Never at once: nothing has changed since.
    return Math.floor((delayMs * (1 + random())) / 2);
  }
  const backoffMs = Math.min(longestDelayMs, firstDelayMs * 2 ** doublings);
  // A worker that fails again and again waits longer, whatever its hubs have wished for.
  const wishedMs = isUnexplained(loss.code) ? Math.max(loss.spreadMs ?? 0, backoffMs) : backoffMs;
  const rangeMs = spreadMsOf(loss.reason) ?? wishedMs;
  return Math.floor(random() * (loss.wasBusy ? Math.min(rangeMs, busyDelayMs) : rangeMs));
}
