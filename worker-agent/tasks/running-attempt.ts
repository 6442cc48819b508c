import { createHash } from "node:crypto";
import { assert } from "../../shared/assert.ts";
import type { SigningKey } from "../../shared/crypto/signing.ts";
import type { Receipt, SignedReceipt } from "../../shared/protocol/receipt.ts";
import { OutputTranscript, signReceipt } from "../../shared/protocol/receipt.ts";
import type { TaskOffer } from "../../shared/protocol/task.ts";
import type { Engine, EngineEvent, EngineTask } from "../engine/engine.ts";
import { EngineError } from "../engine/engine.ts";
import type {
  AttemptEffect,
  AttemptEvent,
  AttemptFrame,
  AttemptState,
  AttemptSummary,
  ReceiptDraft,
} from "./attempt.ts";
import { createAttempt, reduceAttempt } from "./attempt-state.ts";
import { onBeat } from "./beat.ts";
import { engineEvents } from "./engine-events.ts";
import { isTurnLong } from "./event-loop-turn.ts";
import type { ReceiptEntry } from "./receipt-journal.ts";

export interface AttemptPorts {
  readonly key: SigningKey;
  send(frame: AttemptFrame): void;
  keep(entry: ReceiptEntry): void;
  over(summary: AttemptSummary): void;
  /** The engine has made so many tokens. */
  made(tokens: number): void;
  /** The engine has failed, and was not told to stop. */
  failed(error: EngineError): void;
  /** A failure nobody expected: a bug of an engine or of ours. */
  unexpected(error: unknown): void;
}

/** Performs what one attempt's reducer asks for. */
export class RunningAttempt {
  readonly #engine: Engine;
  readonly #ports: AttemptPorts;
  readonly #controller = new AbortController();
  readonly #transcript = new OutputTranscript();
  /**
   * Anchored to the wall clock once, so that a clock that is set back moves no timer of this
   * attempt.
   */
  readonly #offsetMs = Date.now() - performance.now();
  #state: AttemptState;
  #task: EngineTask | null = null;
  #iterator: AsyncIterator<EngineEvent> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(engine: Engine, offer: TaskOffer, paceMs: number, ports: AttemptPorts) {
    this.#engine = engine;
    this.#ports = ports;
    this.#state = createAttempt(offer, paceMs, this.#nowMs());
  }

  dispatch(event: AttemptEvent): void {
    const step = reduceAttempt(this.#state, event, this.#nowMs());
    this.#state = step.state;
    for (const effect of step.effects) this.#perform(effect);
  }

  #nowMs(): number {
    return Math.round(this.#offsetMs + performance.now());
  }

  #perform(effect: AttemptEffect): void {
    switch (effect.kind) {
      case "send":
        if (effect.frame.type === "task.delta") this.#record(effect.frame.parts);
        this.#ports.send(effect.frame);
        return;
      case "generate":
        this.#task = effect.task;
        return;
      case "pull":
        void this.#pull();
        return;
      case "halt":
        this.#controller.abort();
        return;
      case "set-timer":
        this.#setTimer(effect.atMs);
        return;
      case "seal":
        void this.#seal(effect.draft);
        return;
      case "keep":
        this.#ports.keep({ ticket: effect.ticket, signed: effect.signed });
        return;
      case "over":
        // Its `finally` blocks give the slot back where the engine is left in the middle.
        void this.#iterator?.return?.()?.catch(this.#ports.unexpected);
        this.#ports.over(effect.summary);
        return;
    }
  }

  #record(parts: ReceiptDraft["parts"]): void {
    for (const part of parts) this.#transcript.add(part);
  }

  #setTimer(atMs: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (atMs === null) return;
    const beatMs = onBeat(atMs - this.#offsetMs, this.#state.paceMs);
    this.#timer = setTimeout(
      () => this.dispatch({ kind: "pace" }),
      Math.max(0, beatMs - performance.now()),
    );
  }

  async #pull(): Promise<void> {
    const event = await this.#next();
    this.dispatch(event);
  }

  async #next(): Promise<AttemptEvent> {
    if (isTurnLong()) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    try {
      this.#iterator ??= this.#generate();
      const next = await this.#iterator.next();
      if (next.done !== true) {
        const event = next.value;
        if (event.kind === "end") return { ...event, kind: "ended" };
        this.#ports.made(event.part.tokens);
        const { tokenIds } = event;
        const isNamed = tokenIds !== undefined && this.#state.offer.wants_token_ids === true;
        return isNamed
          ? { kind: "part", part: { ...event.part, token_ids: [...tokenIds] } }
          : { kind: "part", part: event.part };
      }
      throw new Error("the engine ended without saying how");
    } catch (error) {
      if (error instanceof EngineError) {
        if (!this.#controller.signal.aborted) this.#ports.failed(error);
        const { code, message, retryAfterMs } = error;
        return { kind: "failed", code, message, retryAfterMs };
      }
      // The message of an unknown error never leaves the machine.
      this.#ports.unexpected(error);
      const failure = new EngineError("engine_failed", "The engine failed", { cause: error });
      if (!this.#controller.signal.aborted) this.#ports.failed(failure);
      return { kind: "failed", code: failure.code, message: failure.message };
    }
  }

  #generate(): AsyncIterator<EngineEvent> {
    assert(this.#task !== null, "an engine is pulled after it was given its task");
    const events = engineEvents(this.#engine, this.#task, this.#controller.signal);
    return events[Symbol.asyncIterator]();
  }

  async #seal(draft: ReceiptDraft): Promise<void> {
    this.#record(draft.parts);
    const signed = await this.#sign(draft);
    this.dispatch({ kind: "sealed", signed });
  }

  #sign(draft: ReceiptDraft): Promise<SignedReceipt> {
    const { offer } = this.#state;
    const made = {
      attempt: offer.attempt,
      worker: this.#ports.key.publicKey,
      model: offer.digest,
      prompt_hash: sha256HexAtOnce(draft.body),
      output_hash: sha256HexAtOnce(this.#transcript.canonical()),
      outcome: draft.outcome,
      prompt_tokens: draft.promptTokens,
      completion_tokens: draft.completionTokens,
      input_micros_per_million: offer.input_micros_per_million,
      output_micros_per_million: offer.output_micros_per_million,
      started_ms: draft.startedMs,
      first_token_ms: draft.firstTokenMs,
      ended_ms: draft.endedMs,
    } as const;
    const { prefixText } = draft;
    const receipt: Receipt =
      prefixText === null
        ? { v: 1, ...made }
        : { v: 2, ...made, prefix_hash: sha256HexAtOnce(prefixText) };
    return signReceipt(receipt, this.#ports.key);
  }
}

/** On this thread, like the signature: see identity.ts. */
function sha256HexAtOnce(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
