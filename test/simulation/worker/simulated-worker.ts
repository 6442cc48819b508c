import type { DownFrame } from "../../../shared/protocol/frames.ts";
import { decodeUp } from "../../../shared/protocol/codec.ts";
import type { Listing } from "../../../shared/protocol/listing.ts";
import { freeSlots, slotsToGrant } from "../../../worker-agent/connection/credits.ts";
import type { SessionSettings, SessionStop } from "../../../worker-agent/connection/session.ts";
import { Journal } from "./journal.ts";
import { edgeOrigin } from "../hub/simulated-hub.ts";
import { stubHash, stubPublicKey } from "../stubs.ts";
import type { Treacherous } from "./treacherous.ts";
import { hold } from "../truth.ts";
import { WorkerProcess } from "./worker-process.ts";
import type { World } from "../world.ts";

/** A provider's machine: its identity, its disk, and the process that runs on it just now. */
export class SimulatedWorker {
  readonly name: string;
  readonly key: string;
  readonly settings: SessionSettings;
  readonly journal: Journal;
  readonly skewMs: number;
  treachery: Treacherous | null = null;
  process: WorkerProcess;
  readonly #world: World;

  constructor(world: World, name: string, listings: readonly Listing[]) {
    this.#world = world;
    this.name = name;
    this.key = stubPublicKey(`${world.options.seed} ${name}`);
    this.journal = new Journal(world.schedule);
    // A worker's clock may be anything: nobody believes it.
    this.skewMs = world.options.skewMs === 0 ? 0 : world.random.int(-600_000, 600_000);
    this.settings = {
      worker: this.key,
      agent: "octo-worker/simulated",
      account: null,
      origin: edgeOrigin,
      isLoopback: false,
      listings,
      drainMs: 3_000,
    };
    this.process = new WorkerProcess(world, this);
  }

  get isServing(): boolean {
    const { phase } = this.process.state;
    return !this.process.isDead && phase.kind === "serving" && phase.listed !== null;
  }

  start(): void {
    this.process.dispatch({ kind: "start" });
  }

  /** The same identity and disk, a new process after a while. */
  kill(isKernelAlive: boolean): void {
    if (this.process.isDead) return;
    this.#world.trace.note(this.name, isKernelAlive ? "is killed" : "loses power");
    this.process.kill(isKernelAlive);
    this.journal.crash();
    this.#restartLater();
  }

  pause(ms: number): void {
    const { process } = this;
    this.#world.trace.note(this.name, `is stopped for ${ms} ms`);
    process.pause();
    this.#world.schedule.after(ms, () => {
      this.#world.trace.note(this.name, "goes on");
      process.resume();
    });
  }

  /** The session is over for good: whoever runs the machine starts it again. */
  stopped(stop: SessionStop): void {
    this.#world.trace.note(this.name, `stops: ${stop.kind}`);
    this.#world.truth.count(`stopped: ${stop.kind}`);
    this.process.kill(true);
    this.#restartLater();
  }

  #restartLater(): void {
    this.#world.schedule.after(this.#world.random.delayMs(2_000), () => {
      if (!this.process.isDead) return;
      this.#world.trace.note(this.name, "is started");
      this.process = new WorkerProcess(this.#world, this);
      this.start();
    });
  }

  noteReceived(frame: DownFrame): void {
    this.treachery?.note(frame);
    if (frame.type !== "task.offer") return;
    const { attempts } = this.#world.truth;
    if (attempts.has(frame.attempt)) return;
    const isHonest = this.treachery === null;
    attempts.set(frame.attempt, {
      workerId: this.key,
      isHonest,
      texts: [],
      given: "",
      seqNext: 0,
      isComplete: false,
    });
  }

  /** Writes down what really goes out, for the checkers. */
  noteSent(text: string): void {
    const decoded = decodeUp(text);
    if (decoded.kind === "broken") {
      hold(this.treachery !== null, "A1", () => `${this.name} sends ${decoded.reason}: ${text}`);
      return;
    }
    const { frame } = decoded;
    if (!("attempt" in frame)) return this.#checkCredits();
    const sent = this.#world.truth.attempts.get(frame.attempt);
    if (sent === undefined || sent.workerId !== this.key || sent.isComplete) return;
    if (frame.type !== "task.delta" && frame.type !== "task.end") return;
    if (frame.seq !== sent.seqNext) return;
    sent.seqNext += 1;
    for (const { index, text: piece = "" } of frame.parts) {
      sent.texts[index] = (sent.texts[index] ?? "") + piece;
    }
    if (frame.type === "task.end") sent.isComplete = frame.outcome === "complete";
  }

  /**
   * What is granted and not used is never more than the slots that nothing runs on, of models that
   * are or were listed: one that failed its hub's probes leaves what was granted for it.
   */
  #checkCredits(): void {
    const { state } = this.process;
    if (state.phase.kind !== "serving" || this.treachery !== null) return;
    const { credits } = state.phase;
    const listed = state.listings.map(({ model }) => model);
    const most = freeSlots(state, { ...state.phase, listed });
    hold(credits <= most, "H2", () => `${this.name} granted ${credits} slots out of ${most}`);
    hold(slotsToGrant(state, state.phase) >= 0, "H2", () => "a grant is negative");
  }
}

export function listingOf(model: string, slots: number, price: number): Listing {
  return {
    model,
    digest: stubHash(model),
    engine: "llama.cpp",
    architecture: "llama",
    quantization: "Q8_0",
    identity: "content",
    bits_per_weight: null,
    speed: null,
    parameter_count: 1_000,
    context_tokens: 4_096,
    abilities: ["chat", "choices", "forced_prefix"],
    slots,
    input_micros_per_million: price,
    output_micros_per_million: 4 * price,
    class_ceiling: "public",
  };
}
