import { assert } from "../../shared/assert.ts";
import type { SigningKey } from "../../shared/crypto/signing.ts";
import type { Log } from "../../shared/log.ts";
import { describeError } from "../../shared/log.ts";
import type { TaskBody, TaskCancel, TaskOffer, TaskWindow } from "../../shared/protocol/task.ts";
import type { Engine, EngineError } from "../engine/engine.ts";
import type { AttemptFrame, AttemptSummary } from "./attempt.ts";
import type { ReceiptJournal } from "./receipt-journal.ts";
import { RunningAttempt } from "./running-attempt.ts";

export interface TaskRunnerOptions {
  readonly enginesByModel: ReadonlyMap<string, Engine>;
  readonly key: SigningKey;
  readonly journal: ReceiptJournal;
  readonly log: Log;
  send(frame: AttemptFrame): void;
  over(summary: AttemptSummary): void;
  /** An engine has made so many tokens just now. */
  made(model: string, tokens: number): void;
  /** An engine has failed a task. */
  failed(model: string, error: EngineError): void;
}

/** The attempts of one worker. */
export class TaskRunner {
  readonly #options: TaskRunnerOptions;
  readonly #attempts = new Map<string, RunningAttempt>();
  #paceMs: number | null = null;

  constructor(options: TaskRunnerOptions) {
    this.#options = options;
  }

  start(offer: TaskOffer, paceMs: number): void {
    this.#keepPace(paceMs);
    const { key, journal, log, send, over, made, failed } = this.#options;
    const engine = this.#options.enginesByModel.get(offer.model);
    assert(engine !== undefined, `the listed model ${offer.model} has an engine`);
    const { attempt } = offer;
    const running = new RunningAttempt(engine, offer, paceMs, {
      key,
      send,
      keep: (entry) => journal.keep(entry),
      over: (summary) => {
        this.#attempts.delete(attempt);
        over(summary);
      },
      made: (tokens) => made(offer.model, tokens),
      failed: (error) => failed(offer.model, error),
      unexpected: (error) => {
        log("error", "An engine failed unexpectedly", { attempt, error: describeError(error) });
      },
    });
    this.#attempts.set(attempt, running);
    running.dispatch({ kind: "begin" });
  }

  /** The newest offer's pace is every attempt's: it says how busy the hub is now. */
  #keepPace(paceMs: number): void {
    if (paceMs === this.#paceMs) return;
    this.#paceMs = paceMs;
    for (const running of this.#attempts.values()) running.dispatch({ kind: "paced", paceMs });
  }

  deliver(frame: TaskBody | TaskWindow | TaskCancel): void {
    const running = this.#attempts.get(frame.attempt);
    if (running === undefined) return;
    switch (frame.type) {
      case "task.body":
        return running.dispatch({ kind: "body", part: frame.part, text: frame.text });
      case "task.window":
        return running.dispatch({ kind: "window", bytes: frame.bytes });
      case "task.cancel":
        return running.dispatch({ kind: "cancel" });
    }
  }

  /** The socket is gone: attempts stop and nothing of them is sent any more. */
  lose(): void {
    for (const running of this.#attempts.values()) running.dispatch({ kind: "lost" });
  }

  /** The worker leaves: attempts fail, so that another worker continues them. */
  stop(): void {
    for (const running of this.#attempts.values()) running.dispatch({ kind: "stop" });
  }
}
