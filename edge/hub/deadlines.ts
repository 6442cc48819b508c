import { isGenerated } from "../../shared/openai/task-kinds.ts";
import { endTask, noCapacity, type StepContext, workerFailed } from "./attempts/end-task.ts";
import { firstTokenP95, noteFirstToken } from "./attempts/first-token-times.ts";
import { startRival } from "./attempts/hedge.ts";
import type { Attempt, HubState } from "./hub-state.ts";
import { sendCancel } from "./attempts/close-attempt.ts";
import { loseAttempt } from "./attempts/lose-attempt.ts";
import { decodeRateOf } from "./attempts/measure-attempt.ts";
import { chooseFor, placeWaiting } from "./attempts/place-task.ts";
import { passProbeDeadline } from "./vetting/preflight-state.ts";
import { cancelTask } from "./attempts/take-output.ts";
import { speedOf } from "./sessions/worker-memory.ts";

/**
 * Ends what has waited, been silent or been dying for too long. The workers of `unread` tasks are
 * silent because they must be.
 */
export function passDeadlines(
  state: HubState,
  unread: ReadonlySet<string>,
  step: StepContext,
): void {
  endWaiting(state, step);
  for (const attempt of state.attempts.values()) {
    if (attempt.entry.probe !== null) {
      passProbeDeadline(state, attempt, step);
      continue;
    }
    if (unread.has(attempt.entry.task.id)) {
      attempt.lastFrameMs = step.nowMs;
      attempt.wasHeldUp = true;
    }
    passDeadline(state, attempt, step);
  }
  if (isSomeoneRested(state, step.nowMs)) placeWaiting(state, step);
}

/** A worker that was left alone after failures may be tried again. */
function isSomeoneRested(state: HubState, nowMs: number): boolean {
  if (state.waiting.length === 0) return false;
  for (const { memory } of state.sessions.values()) {
    const { untilMs } = memory.breaker;
    if (untilMs !== null && untilMs <= nowMs) return true;
  }
  return false;
}

function endWaiting(state: HubState, step: StepContext): void {
  const late = state.waiting.filter((entry) => step.nowMs >= entry.placeByMs);
  if (late.length === 0) return;
  state.waiting = state.waiting.filter((entry) => step.nowMs < entry.placeByMs);
  for (const entry of late) {
    // Of an answer that has begun only its worker's loss is news.
    const begun = entry.started ? entry.lastLoss : null;
    const ending = begun === null ? noCapacity("all were busy") : workerFailed(begun.message);
    endTask(state, entry, step, ending);
  }
}

function passDeadline(state: HubState, attempt: Attempt, step: StepContext): void {
  const { config } = state;
  const { nowMs } = step;
  if (attempt.cancelledMs !== null) {
    if (nowMs - attempt.cancelledMs < config.cancelMs) return;
    const loss = { outcome: "cancel ignored", message: "", countsAsFailure: true };
    loseAttempt(state, attempt, loss, step);
  } else if (nowMs >= lastMsOf(state, attempt)) {
    // Ended as if the consumer had left: what was delivered is paid.
    cancelTask(state, attempt.entry.task.id, step);
  } else if (attempt.firstTokenMs === null) passFirstToken(state, attempt, step);
  else passStall(state, attempt, step);
}

/** A hold ends before this would be settled: what comes later is nobody's to pay for. */
const settleMs = 60_000;

/** When an answer is ended whoever makes it: by its length, and before its hold is let go. */
function lastMsOf({ config }: HubState, { entry, startedMs }: Attempt): number {
  const begunMs = entry.delivered?.first.startedMs ?? startedMs;
  return Math.min(begunMs + config.answerMs, entry.task.terms.expires_ms - settleMs);
}

function passStall(state: HubState, attempt: Attempt, step: StepContext): void {
  const silentMs = step.nowMs - attempt.lastFrameMs;
  if (silentMs < stallMsOf(state, attempt)) return;
  sendCancel(attempt, "stalled", step);
  const message = `The worker fell silent for ${silentMs} ms in the middle of the answer`;
  loseAttempt(state, attempt, { outcome: "stalled", message, countsAsFailure: true }, step);
}

/** Three times what 95 of 100 take is no bad luck any more. */
const latePaces = 3;
/** A model that has to be loaded first takes a few seconds, and is worth them. */
const lateMsMin = 2_000;

/**
 * A first token that is late: by the model's own times the next worker is asked, if there is one;
 * by the configured time this one is given up even where nobody else is left.
 */
function passFirstToken(state: HubState, attempt: Attempt, step: StepContext): void {
  const { entry } = attempt;
  const { config } = state;
  const silentMs = step.nowMs - attempt.lastFrameMs;
  const limitMs = firstOutputMs(state, attempt);
  const bodyChars = entry.task.body.length + (attempt.prefixText?.length ?? 0);
  const of = { digest: attempt.listing.digest, bodyChars };
  const p95Ms = firstTokenP95(state.firstTokens, of);
  // The last worker that may fail has all the time there is.
  const isLast = p95Ms === null || entry.failures + 1 >= config.failuresMax;
  const usualMs = isLast ? limitMs : Math.max(lateMsMin, latePaces * p95Ms);
  if (entry.task.hedge && p95Ms !== null && silentMs >= p95Ms) startRival(state, attempt, step);
  const isLate =
    silentMs >= limitMs || (silentMs >= usualMs && mayBeFollowed(state, attempt, step));
  if (!isLate) return;
  // Whoever is slow today makes what is usual: it is learnt from those that are late as well.
  noteFirstToken(state.firstTokens, { ...of, ms: silentMs });
  sendCancel(attempt, "first_token_late", step);
  const message = `The worker made no token within ${silentMs} ms`;
  const loss = { outcome: "late", message, countsAsFailure: true };
  // Slower than usual is no fault yet.
  loseAttempt(state, attempt, { ...loss, isWorkerKnown: silentMs < limitMs }, step);
}

/** Whether another worker could take the task now. */
function mayBeFollowed(state: HubState, attempt: Attempt, step: StepContext): boolean {
  const { entry } = attempt;
  if (entry.rival !== null) return true;
  const triedSessionIds = new Set([...entry.triedSessionIds, attempt.session.id]);
  return chooseFor(state, { ...entry, triedSessionIds }, step).kind === "chosen";
}

/** A pause of three tokens' time is no pace any more; below that it may be a hiccup. */
const stallPaces = 3;

/**
 * How long a worker may be silent in mid-answer: three times what its tokens take, by this answer
 * or by those before it, within the bounds of the configuration. A worker without a pace yet has
 * the most there is.
 */
function stallMsOf({ config }: HubState, attempt: Attempt): number {
  const { session, listing } = attempt;
  const known = speedOf(session.memory, listing)?.decodeTokensPerS ?? null;
  const tokensPerS = decodeRateOf(attempt) ?? known;
  if (tokensPerS === null) return config.stallMs;
  const ownMs = (stallPaces * 1000) / tokensPerS;
  return Math.min(config.stallMs, Math.max(config.stallMsMin, ownMs));
}

function firstOutputMs({ config }: HubState, { entry }: Attempt): number {
  return isGenerated(entry.task.kind) ? config.firstTokenMs : config.documentMs;
}
