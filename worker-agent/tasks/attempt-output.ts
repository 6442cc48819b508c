import type { OutputPart } from "../../shared/openai/output.ts";
import { partBytes } from "../../shared/protocol/receipt.ts";
import type { AttemptEffect, AttemptState, AttemptStep, Ending } from "./attempt.ts";
import { partsByFrame } from "./frame-parts.ts";
import { takeBytes } from "./output-parts.ts";
import { prefixTextOf } from "./read-task.ts";

/** Sends as much of what is gathered as the window holds. */
export function flush(state: AttemptState, nowMs: number): AttemptStep {
  const { head, rest } = takeBytes(state.gathered, state.windowBytes);
  return sendDeltas({ ...state, gathered: rest }, partsByFrame(head), nowMs);
}

function sendDeltas(
  state: AttemptState,
  frames: readonly OutputPart[][],
  nowMs: number,
): AttemptStep {
  const { attempt } = state.offer;
  let next = state;
  const effects: AttemptEffect[] = [];
  for (const parts of frames) {
    const frame = { type: "task.delta", attempt, seq: next.seq, parts } as const;
    effects.push({ kind: "send", frame });
    next = { ...countSent(next, parts, nowMs), seq: next.seq + 1 };
  }
  return { state: next, effects };
}

function countSent(state: AttemptState, parts: readonly OutputPart[], nowMs: number): AttemptState {
  const bytes = parts.reduce((sum, part) => sum + partBytes(part), 0);
  return {
    ...state,
    windowBytes: state.windowBytes - bytes,
    gatheredBytes: state.gatheredBytes - bytes,
    sentTokens: parts.reduce((sum, part) => sum + part.tokens, state.sentTokens),
    firstSentMs: state.firstSentMs ?? nowMs,
    lastSentMs: nowMs,
  };
}

/** A timer for output that waits for the pace; none for output that waits for the window. */
export function withTimer(step: AttemptStep, nowMs: number): AttemptStep {
  const { state, effects } = step;
  const isWaiting = state.gathered.length > 0 && state.gatheredBytes < state.windowBytes;
  if (isWaiting === state.isTimerSet) return step;
  const atMs = isWaiting ? Math.max(nowMs, state.lastSentMs + state.paceMs) : null;
  return {
    state: { ...state, isTimerSet: isWaiting },
    effects: [...effects, { kind: "set-timer", atMs }],
  };
}

/**
 * Everything is decided: the rest goes into the end frame, whose receipt has to be signed first.
 */
export function seal(
  state: AttemptState,
  { ending, isLost }: { readonly ending: Ending; readonly isLost: boolean },
  nowMs: number,
): AttemptStep {
  const frames = partsByFrame(state.gathered);
  const parts = frames.pop() ?? [];
  const sent = sendDeltas({ ...state, gathered: [] }, frames, nowMs);
  const next = parts.length > 0 ? countSent(sent.state, parts, nowMs) : sent.state;
  const effects: AttemptEffect[] = [...sent.effects];
  if (state.isTimerSet) effects.push({ kind: "set-timer", atMs: null });
  const draft = {
    body: state.body,
    prefixText: prefixTextOf(state.prefix),
    parts,
    outcome: ending.outcome,
    promptTokens: ending.usage.prompt,
    completionTokens: ending.usage.completion,
    startedMs: state.startedMs,
    firstTokenMs: next.firstSentMs,
    endedMs: nowMs,
  };
  return {
    state: { ...next, isTimerSet: false, phase: { kind: "sealing", ending, parts, isLost } },
    effects: [...effects, { kind: "seal", draft }],
  };
}
