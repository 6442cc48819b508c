import { closeCodes } from "../../../shared/protocol/close-codes.ts";
import { decodeDown, encodeFrame, joinFrames } from "../../../shared/protocol/codec.ts";
import type { UpFrame } from "../../../shared/protocol/frames.ts";
import { takeSubmission } from "../../../worker-agent/connection/receipt-submission.ts";
import type {
  SessionEffect,
  SessionEvent,
  SessionState,
  SessionTimer,
} from "../../../worker-agent/connection/session.ts";
import { createSession, reduceSession } from "../../../worker-agent/connection/session-state.ts";
import type { TaskOffer } from "../../../shared/protocol/task.ts";
import type { ReceiptEntry } from "../../../worker-agent/tasks/receipt-journal.ts";
import type { Scheduled } from "../schedule.ts";
import { SimulatedAttempt } from "./simulated-attempt.ts";
import type { SimulatedWorker } from "./simulated-worker.ts";
import { stubSignature } from "../stubs.ts";
import { Wire } from "../wire.ts";
import type { World } from "../world.ts";

/** As in worker-agent/connection/connection.ts. */
const acknowledgedWithinMs = 2_000;

/** One run of octo-worker: worker-agent/connection/connection.ts around the real reducer. */
export class WorkerProcess {
  readonly #world: World;
  readonly #worker: SimulatedWorker;
  #state: SessionState;
  #wire: Wire | null = null;
  readonly #attempts = new Map<string, SimulatedAttempt>();
  readonly #timers = new Map<SessionTimer, Scheduled>();
  readonly #events: SessionEvent[] = [];
  #isDispatching = false;
  #isDead = false;
  /** While it is stopped (SIGSTOP), what should have happened waits here. */
  #waiting: (() => void)[] | null = null;
  #toSubmit: ReceiptEntry[] = [];
  #gathered: string[] = [];

  constructor(world: World, worker: SimulatedWorker) {
    this.#world = world;
    this.#worker = worker;
    this.#state = createSession(worker.settings);
  }

  get state(): SessionState {
    return this.#state;
  }

  get wire(): Wire | null {
    return this.#wire;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  dispatch(event: SessionEvent): void {
    this.#events.push(event);
    if (this.#isDispatching || this.#isDead) return;
    this.#isDispatching = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const { schedule, random } = this.#world;
      const step = reduceSession(this.#state, next, schedule.nowMs, random.next);
      this.#state = step.state;
      for (const effect of step.effects) this.#perform(effect);
    }
    this.#isDispatching = false;
  }

  /** Gone at once; a kernel that lives on closes its sockets, a power cut tells nobody. */
  kill(isKernelAlive: boolean): void {
    this.#isDead = true;
    if (isKernelAlive) this.#wire?.close("worker", 1006, "");
    else this.#wire?.abandon("worker");
    this.#wire = null;
  }

  pause(): void {
    this.#waiting ??= [];
  }

  resume(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const run of waiting) this.#now(run);
  }

  later(delayMs: number, run: () => void): Scheduled {
    const scheduled = this.#world.schedule.after(delayMs, () => {
      this.#now(() => {
        if (!scheduled.isCancelled) run();
      });
    });
    return scheduled;
  }

  /** Sends an encoded frame, together with what else is said at this moment. */
  say(text: string): void {
    const wire = this.#wire;
    if (wire === null) return;
    if (this.#gathered.length === 0) this.later(0, () => this.#flush(wire));
    this.#gathered.push(text);
  }

  #flush(wire: Wire): void {
    const texts = this.#gathered;
    this.#gathered = [];
    for (const message of joinFrames(texts)) wire.send("worker", message);
  }

  #now(run: () => void): void {
    if (this.#isDead) return;
    if (this.#waiting === null) run();
    else this.#waiting.push(run);
  }

  #perform(effect: SessionEffect): void {
    switch (effect.kind) {
      case "dial":
        return this.#dial(effect.hub);
      case "send":
        return this.#send(effect.frame);
      case "ping":
        return this.#wire?.send("worker", "ping");
      case "hang-up":
        if (this.#wire !== null) this.#flush(this.#wire);
        this.#wire?.close("worker", effect.code, effect.reason);
        this.#wire = null;
        return;
      case "sign": {
        const { message } = effect;
        const signature = stubSignature(this.#worker.key, "octo-auth-v1", message);
        this.later(1, () => this.dispatch({ kind: "signed", message, signature }));
        return;
      }
      case "set-timer":
        return this.#setTimer(effect.timer, effect.atMs);
      case "start-attempt":
        return this.#startAttempt(effect.offer, effect.paceMs);
      case "deliver":
        return this.#deliver(effect.frame);
      case "lose-attempts":
        for (const attempt of this.#attempts.values()) attempt.dispatch({ kind: "lost" });
        return;
      case "stop-attempts":
        for (const attempt of this.#attempts.values()) attempt.dispatch({ kind: "stop" });
        return;
      case "submit-receipts":
        return this.#submit(effect.isFirst);
      case "acknowledge":
        return this.#worker.journal.acknowledge(effect.attempts);
      case "flush-receipts": {
        const isConnected = this.#state.phase.kind === "serving";
        const delayMs = isConnected && this.#worker.journal.count > 0 ? acknowledgedWithinMs : 0;
        this.later(delayMs, () => {
          this.#worker.journal.flush();
          this.dispatch({ kind: "flushed" });
        });
        return;
      }
      case "notice":
        if (effect.notice.kind !== "dialling") {
          this.#world.trace.note(this.#worker.name, JSON.stringify(effect.notice).slice(0, 200));
        }
        return;
      case "stop":
        return this.#worker.stopped(effect.stop);
    }
  }

  #dial(lastHubId: string | null): void {
    const wire = new Wire(this.#world, this.#worker.name);
    this.#wire = wire;
    this.#gathered = [];
    const isCurrent = () => this.#wire === wire;
    wire.attach("worker", {
      received: (data) => this.#now(() => (isCurrent() ? this.#receive(data) : undefined)),
      closed: (code, reason) => {
        this.#now(() => {
          if (!isCurrent()) return;
          this.#wire = null;
          this.dispatch({ kind: "closed", code, reason });
        });
      },
    });
    this.later(this.#world.random.delayMs(2 * this.#world.options.delayMs), () => {
      if (!isCurrent()) return;
      if (this.#world.dial(wire, lastHubId) !== null) this.dispatch({ kind: "opened" });
      else {
        this.#wire = null;
        this.dispatch({ kind: "closed", code: 1006, reason: "the edge answered 503" });
      }
    });
  }

  #send(frame: UpFrame): void {
    for (const text of this.#worker.treachery?.bend(frame) ?? [encodeFrame(frame)]) {
      this.#worker.noteSent(text);
      this.say(text);
    }
  }

  #receive(data: string): void {
    if (data === "pong") return this.dispatch({ kind: "heard" });
    const decoded = decodeDown(data);
    if (decoded.kind === "frame") {
      this.#worker.noteReceived(decoded.frame);
      return this.dispatch(decoded);
    }
    const { close, reason } = decoded;
    this.dispatch({ kind: "broken", code: closeCodes[close], reason });
  }

  #setTimer(timer: SessionTimer, atMs: number | null): void {
    const set = this.#timers.get(timer);
    if (set !== undefined) set.isCancelled = true;
    this.#timers.delete(timer);
    if (atMs === null) return;
    const delayMs = Math.max(0, atMs - this.#world.schedule.nowMs);
    this.#timers.set(
      timer,
      this.later(delayMs, () => this.dispatch({ kind: "timer", timer })),
    );
  }

  #startAttempt(offer: TaskOffer, paceMs: number): void {
    const { attempt: id } = offer;
    for (const running of this.#attempts.values()) running.dispatch({ kind: "paced", paceMs });
    const attempt = new SimulatedAttempt(this.#world, offer, paceMs, {
      workerKey: this.#worker.key,
      skewMs: this.#worker.skewMs,
      later: (delayMs, run) => this.later(delayMs, run),
      send: (frame) => this.#send(frame),
      keep: (entry) => this.#worker.journal.keep(entry),
      over: () => {
        this.#attempts.delete(id);
        this.dispatch({ kind: "attempt-over", attempt: id });
      },
    });
    this.#attempts.set(id, attempt);
    attempt.dispatch({ kind: "begin" });
  }

  #deliver(frame: Extract<SessionEffect, { kind: "deliver" }>["frame"]): void {
    const attempt = this.#attempts.get(frame.attempt);
    switch (frame.type) {
      case "task.body":
        return attempt?.dispatch({ kind: "body", part: frame.part, text: frame.text });
      case "task.window":
        return attempt?.dispatch({ kind: "window", bytes: frame.bytes });
      case "task.cancel":
        return attempt?.dispatch({ kind: "cancel" });
    }
  }

  #submit(isFirst: boolean): void {
    const { journal } = this.#worker;
    if (isFirst) this.#toSubmit = journal.entries();
    const pending = this.#toSubmit.filter((entry) => journal.has(entry.signed.receipt.attempt));
    const { frames, rest } = takeSubmission(pending);
    this.#toSubmit = rest;
    for (const frame of frames) this.#send(frame);
    this.dispatch({ kind: "submitted", left: rest.length });
  }
}
