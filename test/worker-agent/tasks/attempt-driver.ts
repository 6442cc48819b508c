import type { OutputPart, Usage } from "../../../shared/openai/output.ts";
import type { SignedReceipt } from "../../../shared/protocol/receipt.ts";
import type { TaskOffer } from "../../../shared/protocol/task.ts";
import type {
  AttemptEffect,
  AttemptEvent,
  AttemptFrame,
  AttemptState,
  AttemptSummary,
  ReceiptDraft,
} from "../../../worker-agent/tasks/attempt.ts";
import { createAttempt, reduceAttempt } from "../../../worker-agent/tasks/attempt-state.ts";

export const attempt = "tsk_0123456789ABCDEFGHIJKL.1";

export function makeOffer(changes: Partial<TaskOffer> = {}): TaskOffer {
  return {
    type: "task.offer",
    attempt,
    kind: "chat",
    model: "words",
    digest: "0".repeat(64),
    body: '{"model":"words","messages":[{"role":"user","content":"hi"}]}',
    body_parts: 1,
    window_bytes: 65_536,
    input_micros_per_million: 1,
    output_micros_per_million: 2,
    ticket: "sealed",
    ...changes,
  };
}

export const usage: Usage = { prompt: 3, completion: 5, cached: 0 };

/** One attempt under simulated time: it does nothing by itself. */
export class AttemptDriver {
  nowMs = 1_000;
  state: AttemptState;
  readonly frames: AttemptFrame[] = [];
  readonly effects: AttemptEffect[] = [];
  timerAtMs: number | null = null;
  isPulled = false;
  isHalted = false;
  draft: ReceiptDraft | null = null;
  summary: AttemptSummary | null = null;

  constructor(offer: TaskOffer = makeOffer(), paceMs = 50) {
    this.state = createAttempt(offer, paceMs, this.nowMs);
    this.tell({ kind: "begin" });
  }

  tell(event: AttemptEvent): AttemptEffect[] {
    const step = reduceAttempt(this.state, event, this.nowMs);
    this.state = step.state;
    for (const effect of step.effects) {
      this.effects.push(effect);
      if (effect.kind === "send") this.frames.push(effect.frame);
      if (effect.kind === "pull") this.isPulled = true;
      if (effect.kind === "halt") this.isHalted = true;
      if (effect.kind === "set-timer") this.timerAtMs = effect.atMs;
      if (effect.kind === "seal") this.draft = effect.draft;
      if (effect.kind === "over") this.summary = effect.summary;
    }
    return [...step.effects];
  }

  part(part: Partial<OutputPart>): void {
    this.isPulled = false;
    this.tell({ kind: "part", part: { index: 0, tokens: 1, ...part } });
  }

  end(counts: Usage = usage): void {
    this.isPulled = false;
    this.tell({ kind: "ended", finishes: [{ index: 0, reason: "stop" }], usage: counts });
  }

  /** Moves the clock, firing the timer when it is due. */
  pass(ms: number): void {
    this.nowMs += ms;
    if (this.timerAtMs === null || this.timerAtMs > this.nowMs) return;
    this.timerAtMs = null;
    this.tell({ kind: "pace" });
  }

  seal(): void {
    this.tell({ kind: "sealed", signed });
  }

  /** What was sent of the answer, in order. */
  get parts(): OutputPart[] {
    return this.frames.flatMap((frame) => ("parts" in frame ? frame.parts : []));
  }

  types(): string[] {
    return this.frames.map(({ type }) => type);
  }
}

const signed: SignedReceipt = {
  receipt: {
    v: 1,
    attempt,
    worker: "A".repeat(43),
    model: "0".repeat(64),
    prompt_hash: "0".repeat(64),
    output_hash: "0".repeat(64),
    outcome: "complete",
    prompt_tokens: 3,
    completion_tokens: 5,
    input_micros_per_million: 1,
    output_micros_per_million: 2,
    started_ms: 1,
    first_token_ms: null,
    ended_ms: 2,
  },
  signature: "A".repeat(86),
};
