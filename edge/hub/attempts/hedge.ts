import { closeAttempt, sendCancel } from "./close-attempt.ts";
import type { StepContext } from "./end-task.ts";
import type { Attempt, HubState } from "../hub-state.ts";
import { openAttempt } from "./offer-task.ts";
import { chooseFor } from "./place-task.ts";

/*
 * Two workers for one task, where its consumer asked for that and the first one is late.
 * R1. There are never more than two, and only until one of them has output.
 * R2. The other one is cancelled and unpaid: nothing of it has left.
 */

/** Asks a second worker beside one that is late, if there is one. */
export function startRival(state: HubState, attempt: Attempt, step: StepContext): void {
  const { entry } = attempt;
  if (entry.rival !== null || entry.attempt !== attempt || entry.started) return;
  const made = entry.attemptNumber - entry.task.attemptsBefore;
  if (made >= state.config.attemptsMax) return;
  const triedSessionIds = new Set([...entry.triedSessionIds, attempt.session.id]);
  const choice = chooseFor(state, { ...entry, triedSessionIds }, step);
  if (choice.kind === "chosen") entry.rival = openAttempt(state, entry, choice, step);
}

/** An attempt has output: the other one of its task is over (R1, R2). */
export function winRace(state: HubState, winner: Attempt, step: StepContext): void {
  const { entry } = winner;
  if (entry.rival === null) return;
  entry.route = winner.route;
  const loser = entry.rival === winner ? entry.attempt : entry.rival;
  if (loser !== null) dropAttempt(state, loser, "superseded", step);
}

/** Stops an attempt that nobody waits for any more. */
export function dropAttempt(
  state: HubState,
  attempt: Attempt,
  reason: "superseded" | "consumer_gone",
  step: StepContext,
): void {
  sendCancel(attempt, reason, step);
  closeAttempt(state, attempt, reason === "superseded" ? "superseded" : "cancelled", step);
}
