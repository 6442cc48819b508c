import type { Receipt, SignedReceipt } from "../../../shared/protocol/receipt.ts";
import { canonicalReceipt } from "../../../shared/protocol/receipt.ts";
import type { OutputPart } from "../../../shared/openai/output.ts";
import type { TaskOffer } from "../../../shared/protocol/task.ts";
import { assert } from "../../../shared/assert.ts";
import { type GenerateTask, isGenerateTask } from "../../../worker-agent/engine/engine.ts";
import type {
  AttemptEffect,
  AttemptEvent,
  AttemptFrame,
  AttemptState,
  ReceiptDraft,
} from "../../../worker-agent/tasks/attempt.ts";
import { createAttempt, reduceAttempt } from "../../../worker-agent/tasks/attempt-state.ts";
import type { ReceiptEntry } from "../../../worker-agent/tasks/receipt-journal.ts";
import { type EngineStep, engineSteps, usageOf } from "./engine-script.ts";
import { prefixHash, transcriptHash } from "../hub/hub-settler.ts";
import type { Scheduled } from "../schedule.ts";
import { stubHash, stubSignature } from "../stubs.ts";
import { hold } from "../truth.ts";
import type { World } from "../world.ts";

export interface AttemptPorts {
  readonly workerKey: string;
  readonly skewMs: number;
  /** Runs later in this process: not while it is paused, and never once it is dead. */
  later(delayMs: number, run: () => void): Scheduled;
  send(frame: AttemptFrame): void;
  keep(entry: ReceiptEntry): void;
  over(): void;
}

/**
 * One attempt in a worker: worker-agent/tasks/running-attempt.ts around the real reducer, with a
 * scripted engine.
 */
export class SimulatedAttempt {
  readonly #world: World;
  readonly #ports: AttemptPorts;
  #state: AttemptState;
  #task: GenerateTask | null = null;
  #steps: Generator<EngineStep, never> | null = null;
  #tokens = 0;
  #isHalted = false;
  #isDeaf = false;
  #pending: Scheduled | null = null;
  #isPulled = false;
  #timer: Scheduled | null = null;
  #isOver = false;
  readonly #choices = new Set<number>();
  readonly #texts: string[] = [];

  constructor(world: World, offer: TaskOffer, paceMs: number, ports: AttemptPorts) {
    this.#world = world;
    this.#ports = ports;
    this.#state = createAttempt(offer, paceMs, this.#nowMs());
  }

  dispatch(event: AttemptEvent): void {
    const step = reduceAttempt(this.#state, event, this.#nowMs());
    this.#state = step.state;
    for (const effect of step.effects) this.#perform(effect);
  }

  #nowMs(): number {
    return this.#world.schedule.nowMs + this.#ports.skewMs;
  }

  #perform(effect: AttemptEffect): void {
    switch (effect.kind) {
      case "send":
        hold(!this.#isOver, "A3", () => `${this.#state.offer.attempt} speaks after its end`);
        if (effect.frame.type === "task.delta") this.#record(effect.frame.parts);
        return this.#ports.send(effect.frame);
      case "generate":
        assert(isGenerateTask(effect.task), "the simulation asks for texts");
        this.#task = effect.task;
        this.#noteGiven(effect.task);
        return;
      case "pull":
        return this.#pull();
      case "halt":
        return this.#halt();
      case "set-timer":
        return this.#setTimer(effect.atMs);
      case "seal":
        this.#record(effect.draft.parts);
        this.#ports.later(this.#world.random.int(0, 5), () => {
          this.dispatch({ kind: "sealed", signed: this.#sign(effect.draft) });
        });
        return;
      case "keep":
        return this.#ports.keep({ ticket: effect.ticket, signed: effect.signed });
      case "over":
        hold(!this.#isOver, "A5", () => `${this.#state.offer.attempt} is over twice`);
        this.#isOver = true;
        return this.#ports.over();
    }
  }

  /** What the checkers hold the consumer's text against: this attempt says only what follows. */
  #noteGiven({ prefix }: GenerateTask): void {
    const sent = this.#world.truth.attempts.get(this.#state.offer.attempt);
    if (sent === undefined || prefix === undefined) return;
    sent.given = prefix.text;
    this.#world.truth.count("continued");
  }

  #record(parts: readonly OutputPart[]): void {
    for (const { index, text = "" } of parts) {
      this.#texts[index] = (this.#texts[index] ?? "") + text;
    }
  }

  #setTimer(atMs: number | null): void {
    if (this.#timer !== null) this.#timer.isCancelled = true;
    this.#timer = null;
    if (atMs === null) return;
    const delayMs = Math.max(0, atMs - this.#nowMs());
    this.#timer = this.#ports.later(delayMs, () => this.dispatch({ kind: "pace" }));
  }

  #pull(): void {
    if (this.#task === null) return;
    hold(!this.#isPulled, "A1", () => `${this.#state.offer.attempt} pulls twice at once`);
    this.#isPulled = true;
    const { options, random, faultsOn } = this.#world;
    const { attempt } = this.#state.offer;
    const from = { attempt, task: this.#task, isCalm: !faultsOn };
    this.#steps ??= engineSteps(options, random, from);
    if (this.#isHalted) return this.#stop();
    const step = this.#steps.next().value;
    if (step.kind === "hang") {
      this.#isDeaf = step.isDeaf;
      return;
    }
    this.#pending = this.#ports.later(step.afterMs, () => this.#yield(step));
  }

  /** An engine that is told to stop does so within a token, and says what it has made. */
  #halt(): void {
    this.#isHalted = true;
    if (this.#isPulled && !this.#isDeaf) this.#stop();
  }

  #stop(): void {
    if (this.#pending !== null) this.#pending.isCancelled = true;
    this.#pending = this.#ports.later(this.#world.random.int(0, 10), () => {
      this.#yield({ kind: "end", afterMs: 0 });
    });
  }

  #yield(step: Exclude<EngineStep, { kind: "hang" }>): void {
    this.#isPulled = false;
    this.#pending = null;
    switch (step.kind) {
      case "part":
        this.#tokens += step.part.tokens;
        this.#choices.add(step.part.index);
        return this.dispatch({ kind: "part", part: this.#named(step.part) });
      case "fail":
        return this.dispatch({ kind: "failed", code: step.code, message: "The engine failed" });
      case "end": {
        const count = this.#task?.request.n ?? 1;
        const finishes = Array.from({ length: count }, (_, index) => ({
          index,
          reason: "stop" as const,
        }));
        return this.dispatch({ kind: "ended", finishes, usage: usageOf(this.#task, this.#tokens) });
      }
    }
  }

  /** With its tokens' ids, where the hub wants them. */
  #named(part: OutputPart): OutputPart {
    if (this.#state.offer.wants_token_ids !== true) return part;
    const ids = Array.from({ length: part.tokens }, (_, at) => this.#tokens - part.tokens + at);
    return { ...part, token_ids: ids };
  }

  #sign(draft: ReceiptDraft): SignedReceipt {
    const { offer } = this.#state;
    const prefix = prefixHash(draft.prefixText);
    const made = {
      attempt: offer.attempt,
      worker: this.#ports.workerKey,
      model: offer.digest,
      prompt_hash: stubHash(draft.body),
      output_hash: transcriptHash((index) => this.#texts[index] ?? ""),
      outcome: draft.outcome,
      prompt_tokens: draft.promptTokens,
      completion_tokens: draft.completionTokens,
      input_micros_per_million: offer.input_micros_per_million,
      output_micros_per_million: offer.output_micros_per_million,
      started_ms: draft.startedMs,
      first_token_ms: draft.firstTokenMs,
      ended_ms: draft.endedMs,
    } as const;
    const receipt: Receipt =
      prefix === undefined ? { v: 1, ...made } : { v: 2, ...made, prefix_hash: prefix };
    const signature = stubSignature(receipt.worker, "octo-receipt-v1", canonicalReceipt(receipt));
    return { receipt, signature };
  }
}
