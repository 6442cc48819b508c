import type { Listing } from "../../../shared/protocol/listing.ts";
import {
  type Attempt,
  createTaskEntry,
  freeSlotsOf,
  type HubState,
  type Session,
  type TaskEntry,
} from "../hub-state.ts";
import { keepVerdict, listClaim, unlistClaim } from "./list-claim.ts";
import type { Probed, StepContext } from "../attempts/end-task.ts";
import { sendCancel } from "../attempts/close-attempt.ts";
import { loseAttempt } from "../attempts/lose-attempt.ts";
import { offerTask } from "../attempts/offer-task.ts";
import { placeWaiting } from "../attempts/place-task.ts";
import { contextProbe, isBaseAbility, judge, type Probe, probesFor } from "./preflight.ts";
import { answerOf, type ProbeAnswer } from "./probe-answer.ts";
import { probeTask } from "./probe-task.ts";
import { someProbes } from "./some-probes.ts";
import { type Claim, listingResult, withoutStruck } from "./vetting.ts";
import { type Verdict, verdictKey, verdictOn } from "../sessions/worker-memory.ts";

/*
 * The preflight of listings: what a worker claims is asked of it before a consumer may rely on it.
 * P1. A session has at most one probe that counts at a time; its models are probed one after the
 *     other, each for at most `preflightMs` of its worker's time. Probes and tasks that wait take
 *     turns where slots are few.
 * P2. A probe takes a granted slot like any offer, is never retried elsewhere, and leaves no trace
 *     in any account, ledger or task list.
 * P3. A claim is listed only after a verdict, and stays listed under it while it is probed again.
 * P4. Frames of a preflight that is over (a newer revision, no time left) change nothing; their
 *     receipts are acknowledged all the same.
 * P5. What is listed is probed again at moments its worker cannot foresee, by requests like any
 *     consumer's: to serve probes well and consumers badly does not pay.
 */

/** The probes of one claim, under way. */
export interface Preflight {
  readonly session: Session;
  claim: Claim;
  /** Still to be asked; the first one is now. */
  probes: Probe[];
  /** What the first of them was answered so far, a run each. */
  answers: ProbeAnswer[];
  /** How often the first of them was found wrong. */
  faults: number;
  /** The open probe. */
  entry: TaskEntry | null;
  refusals: number;
  askedMs: number;
  usedMs: number;
  tokensPerWord: number;
  /** When all of the claim was probed last: now, unless these are some of its probes. */
  readonly wholeMs: number;
  readonly done: Set<string>;
  readonly struck: { ability: string; reason: string }[];
}

/** Once may be an accident: what fails twice in a row is not there. */
const faultsMax = 2;
/** A worker busy with earlier answers refuses; one that refuses on and on is not serving. */
const refusalsMax = 8;
/** Each failure makes the next chance come so many times later. */
const retryFactor = 4;
const retryMsMax = 60 * 60_000;

/**
 * Takes a session's new set of claims: those that were borne out are listed at once, and each is
 * probed when its time has come, however often it is claimed.
 */
export function vetListings(
  state: HubState,
  session: Session,
  claims: readonly Listing[],
  step: StepContext,
): void {
  const { vetting, memory } = session;
  const running = state.preflights.get(session.id);
  vetting.claims = [];
  vetting.struck = [];
  session.listings = [];
  for (const listing of claims) {
    const key = verdictKey(listing);
    const verdict = verdictOn(memory, key);
    const { dueMs, failures, refused: reason } = verdict ?? unknown(step);
    vetting.claims.push({ listing, key, dueMs, failures, reason });
    if (verdict?.refused === null) listClaim(session, listing, verdict.struck);
  }
  if (running === undefined) return;
  const same = vetting.claims.find(({ key }) => key === running.claim.key);
  if (same !== undefined) running.claim = same;
  else dropPreflight(state, session, "superseded", step);
}

/** What is known of a claim that was never probed. */
function unknown({ nowMs }: StepContext): Pick<Verdict, "dueMs" | "failures" | "refused"> {
  return { dueMs: nowMs, failures: 0, refused: null };
}

/** Ends a session's preflight without a verdict. */
function dropPreflight(
  state: HubState,
  session: Session,
  reason: "superseded" | "stalled",
  step: StepContext,
): void {
  const running = state.preflights.get(session.id);
  if (running === undefined) return;
  state.preflights.delete(session.id);
  const attempt = running.entry?.attempt ?? null;
  running.entry = null;
  if (attempt === null || attempt.cancelledMs !== null) return;
  // Left open until the worker has said its last word, so that its receipt can be acknowledged.
  attempt.cancelledMs = step.nowMs;
  attempt.bytesAtCancel = attempt.transcript.bytes;
  sendCancel(attempt, reason, step);
}

/**
 * Gives a session's free slots away: a probe first, once, so that tasks cannot keep it waiting; but
 * after a probe a task that waits comes first.
 */
export function fillSlots(state: HubState, session: Session, step: StepContext): void {
  const { probedLast } = session;
  if (!probedLast) pumpPreflight(state, session, step);
  placeWaiting(state, step, session);
  if (probedLast) pumpPreflight(state, session, step);
}

/** Asks the next probe of a session that has a claim to be probed and a free slot. */
export function pumpPreflight(state: HubState, session: Session, step: StepContext): void {
  if (session.draining || session.vetting.claims.length === 0) return;
  const running = state.preflights.get(session.id) ?? begin(state, session, step);
  if (running === null || running.entry !== null) return;
  const probe = running.probes[0] ?? addContextProbe(running, step);
  if (probe === undefined) {
    conclude(state, session, running, step);
    return;
  }
  const { listing } = running.claim;
  if (freeSlotsOf(session, listing) < 1) return;
  const task = probeTask(probe, { session, listing }, step);
  const entry = createTaskEntry(task, step.nowMs, running);
  running.entry = entry;
  running.askedMs = step.nowMs;
  state.tasks.set(task.id, entry);
  offerTask(state, entry, { session, listing, route: null }, step);
}

/** The last probe, made when it is known how many tokens a word is for this model. */
function addContextProbe(running: Preflight, step: StepContext): Probe | undefined {
  const listing = withoutStruck(running.claim.listing, running.struck);
  const isText = listing.abilities.some((one) => one === "chat" || one === "completions");
  if (!isText || running.done.has("context")) return undefined;
  const probe = contextProbe(listing, running.tokensPerWord, step.random);
  if (probe !== null) running.probes = [probe];
  return probe ?? undefined;
}

function begin(state: HubState, session: Session, step: StepContext): Preflight | null {
  const claim = session.vetting.claims.find(({ dueMs }) => dueMs <= step.nowMs);
  if (claim === undefined) return null;
  const verdict = verdictOn(session.memory, claim.key);
  const some = verdict === null ? null : someProbes(claim.listing, verdict, step);
  const running: Preflight = {
    session,
    claim,
    probes: some ?? probesFor(claim.listing, step.random),
    answers: [],
    faults: 0,
    entry: null,
    refusals: 0,
    askedMs: step.nowMs,
    usedMs: 0,
    tokensPerWord: 1,
    wholeMs: some === null || verdict === null ? step.nowMs : verdict.atMs,
    done: new Set(some === null ? [] : ["context"]),
    struck: [],
  };
  state.preflights.set(session.id, running);
  // It was refused before: its worker takes offers of it only once it is told so.
  if (claim.reason !== null) tellResult(session, step);
  return running;
}

/** A probe is over. */
export function takeProbed(state: HubState, probed: Probed, step: StepContext): void {
  const { entry, ending } = probed;
  const { session } = probed.preflight;
  if (ending.kind !== "failed" && ending.receipt !== null) {
    // It is nobody's to pay, so its worker need not keep it (P2).
    const attempts = [ending.receipt.receipt.attempt];
    step.effects.push({
      kind: "send",
      sessionId: session.id,
      frame: { type: "receipt.ack", attempts },
    });
  }
  const running = state.preflights.get(session.id);
  // P4
  if (running === undefined || running.entry !== entry) return;
  running.entry = null;
  running.usedMs += step.nowMs - running.askedMs;
  if (probed.isRefused) {
    running.refusals += 1;
    if (running.refusals > refusalsMax) {
      refuse(state, session, { running, reason: "it refuses what it is asked" }, step);
    }
  } else takeAnswer(state, session, { running, answer: probeAnswer(ending) }, step);
  fillSlots(state, session, step);
}

function probeAnswer(ending: Probed["ending"]): ProbeAnswer {
  switch (ending.kind) {
    case "answered": {
      const reasonByChoice = new Map(ending.finishes.map(({ index, reason }) => [index, reason]));
      return answerOf(ending.attempt.held, ending.counts, [...reasonByChoice.values()]);
    }
    case "cancelled":
      return { kind: "failed", message: "it stopped in the middle of an answer" };
    case "failed":
      return { kind: "failed", message: ending.message };
  }
}

function takeAnswer(
  state: HubState,
  session: Session,
  { running, answer }: { readonly running: Preflight; readonly answer: ProbeAnswer },
  step: StepContext,
): void {
  const [probe] = running.probes;
  if (probe === undefined) return;
  running.answers.push(answer);
  if (answer.kind === "answered" && running.answers.length < probe.runs) return;
  const fault = judge(probe, running.answers);
  running.answers = [];
  if (fault !== null) {
    running.faults += 1;
    if (running.faults >= faultsMax) strike(state, session, { running, reason: fault }, step);
    return;
  }
  if (isBaseAbility(probe.aim) && probe.words > 0 && answer.kind === "answered") {
    running.tokensPerWord = answer.counts.promptTokens / probe.words;
  }
  nextProbe(running, probe);
}

function nextProbe(running: Preflight, probe: Probe): void {
  running.done.add(probe.aim);
  running.faults = 0;
  running.probes = running.probes.slice(1);
}

/** What the first probe is for is not there. */
function strike(
  state: HubState,
  session: Session,
  { running, reason }: { readonly running: Preflight; readonly reason: string },
  step: StepContext,
): void {
  const [probe] = running.probes;
  if (probe === undefined) return;
  const { listing } = running.claim;
  if (probe.aim === "context") {
    const claim = `its context of ${listing.context_tokens} tokens is not there`;
    refuse(state, session, { running, reason: `${claim}: ${reason}` }, step);
    return;
  }
  running.struck.push({ ability: probe.aim, reason });
  nextProbe(running, probe);
  if (!isBaseAbility(probe.aim)) return;
  const left = withoutStruck(listing, running.struck);
  if (left.abilities.some(isBaseAbility)) {
    // What was to be probed by way of it is probed by way of another.
    running.probes = probesFor(left, step.random).filter(({ aim }) => !running.done.has(aim));
  } else refuse(state, session, { running, reason: `${probe.aim} does not work: ${reason}` }, step);
}

/** Every probe has been asked. */
function conclude(state: HubState, session: Session, running: Preflight, step: StepContext): void {
  const { listing } = running.claim;
  if (!withoutStruck(listing, running.struck).abilities.some(isBaseAbility)) {
    refuse(state, session, { running, reason: "it claims no kind of task" }, step);
    return;
  }
  const { struck } = running;
  const dueMs =
    struck.length > 0
      ? retryMs(state, running.claim, step)
      : step.nowMs + Math.round(state.config.preflightAgainMs * (0.5 + step.random()));
  const known = verdictOn(session.memory, running.claim.key);
  keepVerdict(session, running, { struck, refused: null, dueMs });
  listClaim(session, listing, struck);
  const isNews =
    known === null || known.refused !== null || known.struck.length + struck.length > 0;
  leave(state, session, { isNews }, step);
}

function refuse(
  state: HubState,
  session: Session,
  { running, reason }: { readonly running: Preflight; readonly reason: string },
  step: StepContext,
): void {
  const dueMs = retryMs(state, running.claim, step);
  keepVerdict(session, running, { struck: [], refused: reason, dueMs });
  unlistClaim(session, running.claim.listing.model);
  leave(state, session, { isNews: true }, step);
}

/** When a claim of which something was not there has its next chance. */
function retryMs({ config }: HubState, { failures }: Claim, { nowMs }: StepContext): number {
  return nowMs + Math.min(config.preflightRetryMs * retryFactor ** failures, retryMsMax);
}

/** A verdict has been reached: its worker and everyone who lists it are told. */
function leave(
  state: HubState,
  session: Session,
  { isNews }: { readonly isNews: boolean },
  step: StepContext,
): void {
  state.preflights.delete(session.id);
  if (isNews) tellResult(session, step);
  step.effects.push({ kind: "listed", session });
  fillSlots(state, session, step);
}

function tellResult(session: Session, step: StepContext): void {
  const frame = listingResult(session, step.nowMs);
  step.effects.push({ kind: "send", sessionId: session.id, frame });
}

/** Ends a probe that takes too long, and with it the time of its listing. */
export function passProbeDeadline(state: HubState, attempt: Attempt, step: StepContext): void {
  const { config } = state;
  const { session, entry, cancelledMs } = attempt;
  if (cancelledMs !== null) {
    if (step.nowMs - cancelledMs < config.cancelMs) return;
    const loss = { outcome: "cancel ignored", message: "", countsAsFailure: true };
    loseAttempt(state, attempt, loss, step);
    return;
  }
  const running = state.preflights.get(session.id);
  if (running === undefined || running.entry !== entry) return;
  if (running.usedMs + step.nowMs - running.askedMs < config.preflightMs) return;
  dropPreflight(state, session, "stalled", step);
  state.preflights.set(session.id, running);
  runOut(state, session, running, step);
}

/** No time is left: what was not shown by now is not there, but for a long context. */
function runOut(state: HubState, session: Session, running: Preflight, step: StepContext): void {
  const seconds = Math.round(state.config.preflightMs / 1000);
  const reason = `it was not shown within ${seconds} s`;
  for (const { aim } of running.probes) {
    // Slow is not wrong: a machine may read a long prompt slower than this.
    if (aim !== "context") running.struck.push({ ability: aim, reason });
  }
  running.probes = [];
  const left = withoutStruck(running.claim.listing, running.struck);
  if (left.abilities.some(isBaseAbility)) conclude(state, session, running, step);
  else {
    const late = `it did not answer within ${seconds} s`;
    refuse(state, session, { running, reason: late }, step);
  }
}

/** Claims whose next chance has come are probed again. */
export function passPreflights(state: HubState, step: StepContext): void {
  for (const session of state.sessions.values()) {
    if (session.vetting.claims.length > 0) pumpPreflight(state, session, step);
  }
}
