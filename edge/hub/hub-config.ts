import { assert } from "../../shared/assert.ts";
import { answerBytesMax, taskBytesMax } from "../../shared/protocol/limits.ts";

/** The limits a hub works under; every one can be lowered for a test. */
export interface HubConfig {
  readonly id: string;
  readonly network: "local" | "public";
  /** How long an attempt may take to its first token before the next worker is asked. */
  readonly firstTokenMs: number;
  /**
   * The same for a document, whose first byte is made when all of it is: pictures and long
   * recordings take minutes on a modest machine.
   */
  readonly documentMs: number;
  /**
   * How long a task may wait for a free slot: a person gives up on a silent answer after about ten
   * seconds.
   */
  readonly queueMs: number;
  /**
   * No output for so long in mid-answer is a lost worker, whatever its pace: clients give up on a
   * stream about then.
   */
  readonly stallMs: number;
  /** No worker is given up sooner: networks and disks hiccup for seconds. */
  readonly stallMsMin: number;
  /**
   * How long one answer may take: a consumer that stops reading, or a worker that drips, ends here.
   */
  readonly answerMs: number;
  /** How long a cancelled attempt may take to say what it had made. */
  readonly cancelMs: number;
  /**
   * Attempts that may fail before the task does; a fourth worker rarely fares better than the
   * third.
   */
  readonly failuresMax: number;
  /** Attempts in all, polite refusals included. */
  readonly attemptsMax: number;
  /** Waiting tasks a hub holds; beyond it a consumer is better off with another hub. */
  readonly queueMax: number;
  /** What the bodies of all tasks may have together: each is kept until its task ends. */
  readonly bodiesCharsMax: number;
  readonly sessionsMax: number;
  /** Whether a listing's claims are probed before it is listed. */
  readonly preflight: boolean;
  /** A worker's time that the probes of one listing may take: slow machines load a model in it. */
  readonly preflightMs: number;
  /** When a claim that failed is probed again; each failure makes it later. */
  readonly preflightRetryMs: number;
  /** About how often some of what is listed is probed again, at moments nobody can foresee. */
  readonly preflightAgainMs: number;
  /** How long workers may gather output before sending. */
  readonly paceMs: number;
  readonly windowBytes: number;
  /** Output of one attempt: no context served today makes more text. */
  readonly outputBytesMax: number;
  /** What one task's output may take in memory, log probabilities and empty parts included. */
  readonly outputMemoryMax: number;
}

export const defaultHubConfig: Omit<HubConfig, "id" | "network"> = {
  firstTokenMs: 10_000,
  documentMs: 5 * 60_000,
  queueMs: 10_000,
  stallMs: 30_000,
  stallMsMin: 5_000,
  answerMs: 30 * 60_000,
  cancelMs: 5_000,
  failuresMax: 3,
  attemptsMax: 8,
  queueMax: 512,
  // Recordings travel as base64, a byte a character: eight of the longest at once.
  bodiesCharsMax: 8 * taskBytesMax,
  sessionsMax: 256,
  preflight: true,
  preflightMs: 60_000,
  preflightRetryMs: 5 * 60_000,
  preflightAgainMs: 4 * 60 * 60_000,
  paceMs: 25,
  windowBytes: 64 * 1024,
  outputBytesMax: answerBytesMax,
  outputMemoryMax: 32 * 1024 * 1024,
};

/** The limits of the hub called `name` (its id), under the settings of its edge. */
export function hubConfigOf(
  name: string | undefined,
  settings: Pick<HubConfig, "network" | "firstTokenMs" | "queueMs" | "stallMs" | "preflight">,
): HubConfig {
  assert(name !== undefined, "a hub is reached by its name");
  const { network, firstTokenMs, queueMs, stallMs, preflight } = settings;
  const stallMsMin = Math.min(defaultHubConfig.stallMsMin, stallMs);
  const changed = { network, firstTokenMs, queueMs, stallMs, stallMsMin, preflight };
  return { ...defaultHubConfig, id: name, ...changed };
}
