import type { Context } from "../context.ts";
import { forgetHub } from "../directory/network-view.ts";
import { isReset } from "../http-errors.ts";
import type { RunResult } from "../hub/answers/answers.ts";
import { defaultHubConfig } from "../hub/hub-config.ts";
import { patienceMs } from "../hub/attempts/queue.ts";
import { hubObject } from "../objects.ts";
import type { InferenceTask } from "./task.ts";

type FailedRun = Extract<RunResult, { kind: "failed" }>;

/** How a task left the hubs. Where no hub closes its books, the task as it is then comes back. */
export type Dispatched =
  | {
      readonly kind: "answer";
      readonly result: Exclude<RunResult, FailedRun>;
      /** The hub it comes from. */
      readonly hubId: string;
    }
  | { readonly kind: "settled"; readonly failure: FailedRun }
  | { readonly kind: "unplaced"; readonly failure: FailedRun; readonly task: InferenceTask };

/**
 * Asks the hubs in turn. Nothing has reached the consumer yet, so a hub that dies is one more that
 * cannot serve; it is asked once more after the others, as it is back at once and its workers soon
 * after.
 */
export async function dispatch(
  ctx: Context,
  held: InferenceTask,
  hubIds: readonly string[],
): Promise<Dispatched> {
  let task = held;
  let failure: FailedRun = lostHub(0);
  const lost: string[] = [];
  for (const hubId of lostOnceMore(hubIds, lost)) {
    // Nobody is left to answer; a listener for the abort would not hear it any more.
    if (ctx.signal.aborted) break;
    let result: RunResult;
    try {
      result = await runOn(ctx, task, hubId);
    } catch (error) {
      if (!isReset(error)) throw error;
      lost.push(hubId);
      forgetHub(hubId);
      // Attempts on the lost hub may have used the first numbers.
      task = { ...task, attemptsBefore: task.attemptsBefore + defaultHubConfig.attemptsMax };
      failure = lostHub(task.attemptsBefore);
      continue;
    }
    if (result.kind !== "failed") return { kind: "answer", result, hubId };
    if (result.record === null) return { kind: "settled", failure: result };
    const isAsked = result.attempts > task.attemptsBefore;
    if (tellingOf(result) >= tellingOf(failure)) failure = result;
    task = {
      ...task,
      attemptsBefore: result.attempts,
      earlierAttempts: result.record.attempts,
    };
    // What the front Worker knows of a hub may be old: that it has nobody says nothing of others.
    const hasPatience = Date.now() < placeByMsOf(ctx, task);
    if (isAsked ? !isWorthAnotherHub(result, hasPatience) : !hasPatience) break;
  }
  return { kind: "unplaced", failure, task };
}

/** A task waits for a slot as long as its mode allows, on all hubs together. */
function placeByMsOf({ config }: Context, { createdMs, mode }: InferenceTask): number {
  return createdMs + patienceMs(config, mode);
}

/**
 * Which of several failures tells a consumer most: what a worker said of the task, then that there
 * is somebody who is busy, then that a hub has nobody.
 */
function tellingOf({ code }: FailedRun): number {
  if (code === "unavailable") return 0;
  return code === "worker_failed" ? 3 : code === "no_capacity" ? 2 : 1;
}

/** Other hubs may have room, or a worker that does not fail; the fourth rarely fares better. */
function isWorthAnotherHub({ code, record }: FailedRun, hasPatience: boolean): boolean {
  if (code === "no_capacity") return hasPatience;
  const made = record?.attempts.length ?? 0;
  return code === "worker_failed" && made < defaultHubConfig.failuresMax;
}

function* lostOnceMore(hubIds: readonly string[], lost: readonly string[]): Generator<string> {
  yield* hubIds;
  yield* lost.slice(0, 1);
}

async function runOn(ctx: Context, task: InferenceTask, hubId: string): Promise<RunResult> {
  const hub = hubObject(ctx.env, hubId);
  const leave = () => ctx.waitUntil(hub.cancel(task.id));
  ctx.signal.addEventListener("abort", leave, { once: true });
  try {
    return await hub.run(task);
  } finally {
    ctx.signal.removeEventListener("abort", leave);
  }
}

function lostHub(attempts: number): FailedRun {
  return {
    kind: "failed",
    code: "unavailable",
    message: "The part of the network that has this model was restarted; try again",
    param: null,
    retryAfterS: 1,
    attempts,
    record: null,
  };
}
