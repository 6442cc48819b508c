import { isGenerated } from "../../../shared/openai/task-kinds.ts";
import type { Attempt, HubState } from "../hub-state.ts";
import { closedBreaker } from "./breaker.ts";
import type { StepContext } from "./end-task.ts";
import { isBaseAbility } from "../vetting/preflight.ts";
import { noteFirstToken } from "./first-token-times.ts";
import { noteTaskMs } from "./queue.ts";
import { rememberSpeed } from "../sessions/worker-memory.ts";

/** The registry and the disk hear of measurements this often at most. */
const tellEveryMs = 60_000;
/** Shorter answers come in one or two messages, and their pace tells nothing. */
const decodeTokensMin = 8;
const decodeMsMin = 20;

/** Outcomes of attempts that a worker is not to blame for, nor to be praised. */
export const neutralOutcomes: ReadonlySet<string> = new Set([
  "cancelled",
  "superseded",
  "invalid_request",
  "context_length_exceeded",
]);

/** Notes how fast and how well a worker served one attempt that is over. */
export function measureAttempt(
  state: HubState,
  attempt: Attempt,
  outcome: string,
  step: StepContext,
): void {
  const { session, listing, entry } = attempt;
  if (outcome === "complete" && entry.probe === null) {
    session.memory.breaker = closedBreaker();
    noteTaskMs(state, listing.model, step.nowMs - attempt.startedMs);
    noteTimes(state, attempt);
  }
  if (outcome.startsWith("refused") || !tellsSpeed(attempt)) return;
  if (neutralOutcomes.has(outcome) && attempt.firstTokenMs === null) return;
  rememberSpeed(session.memory, {
    model: listing.model,
    digest: listing.digest,
    isSuccess: outcome === "complete" || neutralOutcomes.has(outcome),
    firstTokenMs: attempt.firstTokenMs === null ? null : attempt.firstTokenMs - attempt.startedMs,
    decodeTokensPerS: decodeRateOf(attempt),
    running: session.modelsByAttempt.size + 1,
  });
  // Whoever has left is told of by `unlisted`: a word after it would bring it back online.
  if (!state.sessions.has(session.id)) return;
  if (entry.probe !== null || step.nowMs - session.measuredMs < tellEveryMs) return;
  session.measuredMs = step.nowMs;
  step.effects.push({ kind: "measured", session });
}

/** The first probe of a model may load it, and the one of its context is long on purpose. */
function tellsSpeed({ entry }: Attempt): boolean {
  const aim = entry.probe?.probes[0]?.aim;
  return aim === undefined || (aim !== "context" && !isBaseAbility(aim));
}

/** What a first token takes, for whoever waits for one of the same model. */
function noteTimes(state: HubState, attempt: Attempt): void {
  const { entry, listing, startedMs, firstTokenMs } = attempt;
  if (firstTokenMs === null || !isGenerated(entry.task.kind)) return;
  const ms = firstTokenMs - startedMs;
  const bodyChars = entry.task.body.length + (attempt.prefixText?.length ?? 0);
  noteFirstToken(state.firstTokens, { digest: listing.digest, ms, bodyChars });
}

/** Tokens a second of one choice so far, or null where the answer is too short to tell. */
export function decodeRateOf(attempt: Attempt): number | null {
  const { firstTokenMs, lastFrameMs, transcript, entry } = attempt;
  // One who was held up by a consumer that did not read was not slow.
  if (firstTokenMs === null || attempt.wasHeldUp || !isGenerated(entry.task.kind)) return null;
  // The worker counts its tokens; no token is less than a byte, nor are there more than were asked.
  const { completionTokensMax } = entry.task;
  const made = Math.min(transcript.tokens, transcript.bytes, completionTokensMax ?? Infinity);
  const tokens = made / entry.task.choices;
  const tookMs = lastFrameMs - firstTokenMs;
  return tokens < decodeTokensMin || tookMs < decodeMsMin ? null : (tokens * 1000) / tookMs;
}
