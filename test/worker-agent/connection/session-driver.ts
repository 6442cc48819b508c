import type { DownFrame, UpFrame } from "../../../shared/protocol/frames.ts";
import type { Listing } from "../../../shared/protocol/listing.ts";
import type { TaskOffer } from "../../../shared/protocol/task.ts";
import { makeOffer } from "../tasks/attempt-driver.ts";
import type {
  SessionEffect,
  SessionEvent,
  SessionSettings,
  SessionState,
  SessionTimer,
} from "../../../worker-agent/connection/session.ts";
import { createSession, reduceSession } from "../../../worker-agent/connection/session-state.ts";

export const words: Listing = {
  model: "words",
  digest: "0".repeat(64),
  engine: "llama.cpp",
  architecture: "llama",
  quantization: "Q8_0",
  identity: "content",
  bits_per_weight: null,
  speed: null,
  parameter_count: 1,
  context_tokens: 512,
  abilities: ["chat"],
  slots: 2,
  input_micros_per_million: 1,
  output_micros_per_million: 2,
  class_ceiling: "public",
};

export const settings: SessionSettings = {
  worker: "W".repeat(43),
  agent: "octo-worker/0.1.0",
  account: null,
  origin: "https://edge.example",
  isLoopback: false,
  listings: [words],
  drainMs: 30_000,
};

export const challenge = {
  type: "auth.challenge",
  version: 1,
  floor: 1,
  hub: "weur:0",
  network: "public",
  nonce: "n".repeat(43),
} as const;

export const welcome = {
  type: "auth.welcome",
  version: 1,
  epoch: 1,
  region: "weur",
  account: "acct_1",
  heartbeat_ms: 10_000,
  pace_ms: 50,
} as const;

export function offerFor(number: number, changes: Partial<TaskOffer> = {}): TaskOffer {
  const attempt = `tsk_${String(number).padStart(22, "0")}.1`;
  return makeOffer({ attempt, ...changes });
}

/** One session under simulated time: it does nothing by itself. */
export class SessionDriver {
  nowMs = 1_000;
  /** What the next random number is. */
  chance = 0.5;
  state: SessionState;
  effects: SessionEffect[] = [];
  readonly frames: UpFrame[] = [];
  readonly timers = new Map<SessionTimer, number>();

  constructor(changes: Partial<SessionSettings> = {}) {
    this.state = createSession({ ...settings, ...changes });
  }

  /** The effects of one event, which are also kept. */
  tell(event: SessionEvent): readonly SessionEffect[] {
    const step = reduceSession(this.state, event, this.nowMs, () => this.chance);
    this.state = step.state;
    for (const effect of step.effects) {
      this.effects.push(effect);
      if (effect.kind === "send") this.frames.push(effect.frame);
      if (effect.kind !== "set-timer") continue;
      if (effect.atMs === null) this.timers.delete(effect.timer);
      else this.timers.set(effect.timer, effect.atMs);
    }
    return step.effects;
  }

  frame(frame: DownFrame): readonly SessionEffect[] {
    return this.tell({ kind: "frame", frame });
  }

  /** Goes from wherever a dial is due to proved. */
  greet(): void {
    this.tell({ kind: "opened" });
    const sign = this.frame(challenge).find((effect) => effect.kind === "sign");
    this.tell({ kind: "signed", message: sign?.message ?? "", signature: "S".repeat(86) });
  }

  /** Goes on until the models are listed. */
  serve(): this {
    if (this.state.phase.kind === "idle") this.tell({ kind: "start" });
    this.greet();
    this.frame(welcome);
    const { revision } = this.state;
    const listed = this.state.listings.map(({ model }) => model);
    this.frame({ type: "listing.result", revision, listed, refused: [] });
    return this;
  }

  /** Offers another set, and has the hub list all of it. */
  offers(...listings: readonly Listing[]): readonly SessionEffect[] {
    const effects = this.tell({ kind: "listings", listings });
    const { revision } = this.state;
    const listed = listings.map(({ model }) => model);
    this.frame({ type: "listing.result", revision, listed, refused: [] });
    return effects;
  }

  /** Moves the clock and fires a timer that is set. */
  fire(timer: SessionTimer): readonly SessionEffect[] {
    const atMs = this.timers.get(timer);
    if (atMs === undefined) throw new Error(`The timer ${timer} is not set`);
    this.timers.delete(timer);
    this.nowMs = Math.max(this.nowMs, atMs);
    return this.tell({ kind: "timer", timer });
  }

  /** Whether an effect of this kind was among all so far. */
  did(kind: SessionEffect["kind"]): boolean {
    return this.effects.some((effect) => effect.kind === kind);
  }
}
