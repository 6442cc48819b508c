import { assert } from "../../../shared/assert.ts";
import type { TokenCounts } from "../../../shared/money.ts";
import { type Delivered, type Share, tokensLeft } from "./continue-answer.ts";
import type { Attempt, HubEffect, HubState, TaskEnding, TaskEntry } from "../hub-state.ts";
import type { Preflight } from "../vetting/preflight-state.ts";

/** Time, chance and the list of effects of one step. */
export interface StepContext {
  readonly nowMs: number;
  readonly random: () => number;
  readonly effects: HubEffect[];
  /** Probes that ended in this step: preflight-state.ts takes them once it is over. */
  readonly probed: Probed[];
}

/** How a probe ended. */
export interface Probed {
  readonly entry: TaskEntry;
  readonly preflight: Preflight;
  readonly ending: WithoutContext<TaskEnding>;
  /** The worker did not take it. */
  readonly isRefused: boolean;
}

/** How a task ends whose last worker gave no answer, in that worker's words. */
export function workerFailed(message: string): FailedEnding {
  return { kind: "failed", code: "worker_failed", message, param: null, retryAfterS: 1 };
}

/** The longest a consumer is told to wait: later than that nobody can foresee. */
const retryAfterMaxS = 120;

/** Nobody is free. `waitMs` is how long it will take until somebody is, where that is known. */
export function noCapacity(why: string, waitMs: number | null = null): FailedEnding {
  return {
    kind: "failed",
    code: "no_capacity",
    message: `No worker is free for this task: ${why}. Try again later.`,
    param: null,
    // The mean answer takes a few seconds; two let a slot come free without a herd arriving at
    // once.
    retryAfterS: waitMs === null ? 2 : Math.min(retryAfterMaxS, Math.ceil(waitMs / 1000)),
  };
}

export type FailedEnding = Omit<Extract<TaskEnding, { kind: "failed" }>, "entry" | "endedMs">;

type PaidEnding = Extract<TaskEnding, { kind: "answered" | "cancelled" }>;

type WithoutContext<T> = T extends unknown ? Omit<T, "entry" | "endedMs"> : never;

/** The one way out of the hub for a task (H1). */
export function endTask(
  state: HubState,
  entry: TaskEntry,
  step: StepContext,
  ending: WithoutContext<TaskEnding>,
): void {
  const known = state.tasks.delete(entry.task.id);
  assert(known, `task ${entry.task.id} ends once (H1)`);
  if (entry.probe !== null) {
    step.probed.push({ entry, preflight: entry.probe, ending, isRefused: false });
    return;
  }
  state.bodiesChars -= entry.task.body.length;
  step.effects.push({
    kind: "ended",
    ending: { ...ending, entry, endedMs: step.nowMs } as TaskEnding,
  });
}

/**
 * The consumer left and the worker never said what it had made: what was delivered is what is paid.
 */
export function endCancelled(state: HubState, attempt: Attempt, step: StepContext): void {
  const { transcript } = attempt;
  const completionTokens = Math.min(
    transcript.tokens,
    attempt.bytesAtCancel ?? transcript.bytes,
    tokensLeft(attempt.entry),
  );
  endPaid(state, attempt, step, {
    kind: "cancelled",
    finishes: [],
    counts: { promptTokens: 0, completionTokens },
    receipt: null,
  });
}

/** The consumer left while its answer waited to be continued. */
export function endAbandoned(state: HubState, { last }: Delivered, step: StepContext): void {
  endTask(state, last.entry, step, {
    kind: "cancelled",
    attempt: last,
    finishes: [],
    ...totalOf(last.entry.delivered?.shares ?? []),
    receipt: null,
  });
}

/** Ends a task with what `attempt` made, behind what others had made before it. */
export function endPaid(
  state: HubState,
  attempt: Attempt,
  step: StepContext,
  ending: Pick<PaidEnding, "kind" | "finishes" | "receipt"> & { readonly counts: TokenCounts },
): void {
  const { entry } = attempt;
  const { counts, ...rest } = ending;
  const shares = [...(entry.delivered?.shares ?? []), { attempt, counts }];
  endTask(state, entry, step, { ...rest, attempt, ...totalOf(shares) });
}

function totalOf(all: readonly Share[]): Pick<PaidEnding, "shares" | "counts"> {
  const shares = all.filter(({ counts }) => counts.promptTokens + counts.completionTokens > 0);
  let promptTokens = 0;
  let completionTokens = 0;
  for (const { counts } of shares) {
    promptTokens += counts.promptTokens;
    completionTokens += counts.completionTokens;
  }
  return { shares, counts: { promptTokens, completionTokens } };
}
