import type { SigningKey } from "../../shared/crypto/signing.ts";
import { closeCodes } from "../../shared/protocol/close-codes.ts";
import { decodeDown } from "../../shared/protocol/codec.ts";
import type { Listing } from "../../shared/protocol/listing.ts";
import type { UpFrame } from "../../shared/protocol/frames.ts";
import type { Receipt } from "../../shared/protocol/receipt.ts";
import type { AttemptSummary } from "../tasks/attempt.ts";
import type { ReceiptEntry, ReceiptJournal } from "../tasks/receipt-journal.ts";
import type { TaskRunner } from "../tasks/task-runner.ts";
import { HubSocket } from "./hub-socket.ts";
import { takeSubmission } from "./receipt-submission.ts";
import type {
  Random,
  SessionEffect,
  SessionEvent,
  SessionNotice,
  SessionSettings,
  SessionState,
  SessionStop,
  SessionTimer,
} from "./session.ts";
import { createSession, reduceSession } from "./session-state.ts";

export interface ConnectionOptions {
  readonly settings: SessionSettings;
  /** `wss://…/worker`. */
  readonly url: string;
  readonly key: SigningKey;
  readonly journal: ReceiptJournal;
  readonly random: Random;
  readonly onNotice: (notice: SessionNotice) => void;
  /** The edge is done with the attempt of this receipt. */
  readonly onAcknowledged: (receipt: Receipt) => void;
  /** Makes the runner of this connection's attempts, which speaks through it. */
  readonly createRunner: (ports: {
    readonly send: (frame: UpFrame) => void;
    readonly over: (summary: AttemptSummary) => void;
  }) => TaskRunner;
}

/**
 * Acknowledgements of the last answers come within a round trip; a hub that is slower gets them
 * again.
 */
const acknowledgedWithinMs = 2_000;

/** Performs what the session's reducer asks for. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #runner: TaskRunner;
  readonly #timers = new Map<SessionTimer, NodeJS.Timeout>();
  readonly #stopped: Promise<SessionStop>;
  #resolveStopped: (stop: SessionStop) => void = () => undefined;
  #state: SessionState;
  #socket: HubSocket | null = null;
  #hangingUp: Promise<void> = Promise.resolve();
  #toSubmit: ReceiptEntry[] = [];
  readonly #events: SessionEvent[] = [];
  #isDispatching = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#state = createSession(options.settings);
    this.#stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
    this.#runner = options.createRunner({
      send: (frame) => this.#send(frame),
      over: ({ attempt }) => this.#dispatch({ kind: "attempt-over", attempt }),
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Keeps the conversation up until it is over for good. */
  async run(): Promise<SessionStop> {
    this.#dispatch({ kind: "start" });
    const stop = await this.#stopped;
    await this.#hangingUp;
    return stop;
  }

  /** Offers this set from now on, on this socket and on every later one. */
  offer(listings: readonly Listing[]): void {
    this.#dispatch({ kind: "listings", listings });
  }

  /** Leaves once what runs has ended. */
  drain(): void {
    this.#dispatch({ kind: "drain" });
  }

  /** Leaves at once. */
  abort(): void {
    this.#dispatch({ kind: "abort" });
  }

  /** Effects can cause events while they are performed: those wait their turn. */
  #dispatch(event: SessionEvent): void {
    this.#events.push(event);
    if (this.#isDispatching) return;
    this.#isDispatching = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const step = reduceSession(this.#state, next, performance.now(), this.#options.random);
        this.#state = step.state;
        for (const effect of step.effects) this.#perform(effect);
      }
    } finally {
      this.#isDispatching = false;
    }
  }

  #perform(effect: SessionEffect): void {
    switch (effect.kind) {
      case "dial":
        return this.#dial(effect.hub);
      case "send":
        return this.#send(effect.frame);
      case "ping":
        return this.#socket?.ping();
      case "hang-up":
        this.#hangingUp = this.#socket?.hangUp(effect.code, effect.reason) ?? Promise.resolve();
        this.#socket = null;
        return;
      case "sign":
        void this.#sign(effect.message);
        return;
      case "set-timer":
        return this.#setTimer(effect.timer, effect.atMs);
      case "start-attempt":
        return this.#runner.start(effect.offer, effect.paceMs);
      case "deliver":
        return this.#runner.deliver(effect.frame);
      case "lose-attempts":
        return this.#runner.lose();
      case "stop-attempts":
        return this.#runner.stop();
      case "submit-receipts":
        return this.#submit(effect.isFirst);
      case "acknowledge":
        return this.#acknowledge(effect.attempts);
      case "flush-receipts":
        void this.#flush();
        return;
      case "notice":
        return this.#options.onNotice(effect.notice);
      case "stop":
        return this.#resolveStopped(effect.stop);
    }
  }

  #dial(hub: string | null): void {
    const { settings } = this.#options;
    const url = new URL(this.#options.url);
    if (hub !== null) url.searchParams.set("hub", hub);
    this.#socket = new HubSocket(url.href, settings.agent, {
      opened: () => this.#dispatch({ kind: "opened" }),
      received: (data) => this.#receive(data),
      closed: (code, reason) => {
        this.#socket = null;
        this.#dispatch({ kind: "closed", code, reason });
      },
    });
  }

  #send(frame: UpFrame): void {
    this.#socket?.send(frame);
  }

  #receive(data: unknown): void {
    if (data === "pong") return this.#dispatch({ kind: "heard" });
    const decoded = decodeDown(data);
    if (decoded.kind === "frame") return this.#dispatch(decoded);
    const { close, reason } = decoded;
    this.#dispatch({ kind: "broken", code: closeCodes[close], reason });
  }

  async #sign(message: string): Promise<void> {
    const signature = await this.#options.key.sign("octo-auth-v1", message);
    this.#dispatch({ kind: "signed", message, signature });
  }

  #setTimer(timer: SessionTimer, atMs: number | null): void {
    clearTimeout(this.#timers.get(timer));
    this.#timers.delete(timer);
    if (atMs === null) return;
    const delayMs = Math.max(0, Math.ceil(atMs - performance.now()));
    const fire = () => this.#dispatch({ kind: "timer", timer });
    this.#timers.set(timer, setTimeout(fire, delayMs));
  }

  #submit(isFirst: boolean): void {
    const { journal } = this.#options;
    if (isFirst) this.#toSubmit = journal.entries();
    const pending = this.#toSubmit.filter((entry) => journal.has(entry.signed.receipt.attempt));
    const { frames, rest } = takeSubmission(pending);
    this.#toSubmit = rest;
    for (const frame of frames) this.#send(frame);
    this.#dispatch({ kind: "submitted", left: rest.length });
  }

  #acknowledge(attempts: readonly string[]): void {
    const { journal, onAcknowledged } = this.#options;
    for (const attempt of attempts) {
      const entry = journal.find(attempt);
      if (entry !== null) onAcknowledged(entry.signed.receipt);
    }
    journal.acknowledge(attempts);
  }

  async #flush(): Promise<void> {
    const { journal } = this.#options;
    if (this.#state.phase.kind === "serving") await journal.empty(acknowledgedWithinMs);
    await journal.flush();
    this.#dispatch({ kind: "flushed" });
  }
}
