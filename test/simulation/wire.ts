import type { World } from "./world.ts";

/** One end of a socket, as its owner hears of it. */
export interface WireEnd {
  received(data: string): void;
  closed(code: number, reason: string): void;
}

export type Side = "worker" | "hub";

/** One direction: ordered, like TCP. */
interface Lane {
  lastMs: number;
  /** In flight when the connection broke: it never arrives. */
  isCut: boolean;
  /** Frames vanish and nobody is told: a half-open socket. */
  isSilent: boolean;
}

/** RFC 6455 section 7.1.5: there was no close frame. */
const noCloseFrame = 1006;

const other: Record<Side, Side> = { worker: "hub", hub: "worker" };

/** A WebSocket between a worker and a hub, over a network that may do to it what networks do. */
export class Wire {
  readonly name: string;
  /** The hub's name for it; none once the hub has slept and knows its credits only by heart. */
  sessionId: string | null = null;
  readonly #world: World;
  readonly #ends: Record<Side, WireEnd | null> = { worker: null, hub: null };
  /** By the side that sends. */
  readonly #lanes: Record<Side, Lane>;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    const lane = (): Lane => ({ lastMs: 0, isCut: false, isSilent: false });
    this.#lanes = { worker: lane(), hub: lane() };
  }

  attach(side: Side, end: WireEnd): void {
    this.#ends[side] = end;
  }

  get isOpen(): boolean {
    return this.#ends.worker !== null && this.#ends.hub !== null;
  }

  /** Whether both ends believe in each other and frames pass. */
  get isSound(): boolean {
    const { worker, hub } = this.#lanes;
    return this.isOpen && !worker.isCut && !hub.isCut && !worker.isSilent && !hub.isSilent;
  }

  send(from: Side, data: string): void {
    if (this.#ends[from] === null) return;
    this.#carry(from, (end) => end.received(data));
  }

  /** Sends a close frame and forgets the end that closed. */
  close(from: Side, code: number, reason: string): void {
    if (this.#ends[from] === null) return;
    this.#ends[from] = null;
    const to = other[from];
    this.#carry(from, (end) => {
      this.#ends[to] = null;
      end.closed(code, reason);
    });
  }

  /** The process at this end is gone without a word, as after a power cut. */
  abandon(side: Side): void {
    this.#ends[side] = null;
    this.#lanes[other[side]].isSilent = true;
  }

  /** The connection is reset: what was under way is lost, and both ends hear of it. */
  break(): void {
    const { random, schedule, options } = this.#world;
    for (const side of ["worker", "hub"] as const) {
      this.#lanes[side].isCut = true;
      schedule.after(random.delayMs(options.delayMs), () => {
        const end = this.#ends[side];
        this.#ends[side] = null;
        end?.closed(noCloseFrame, "");
      });
    }
  }

  /** From now on what these sides send is lost, and nobody is told. */
  silence(sides: readonly Side[]): void {
    for (const side of sides) this.#lanes[side].isSilent = true;
  }

  #carry(from: Side, deliver: (end: WireEnd) => void): void {
    const { random, schedule, options } = this.#world;
    const lane = this.#lanes[from];
    if (lane.isCut || lane.isSilent) return;
    const spikeMs = random.chance(0.01) ? 10 * options.delayMs : 0;
    lane.lastMs = Math.max(
      lane.lastMs,
      schedule.nowMs + 1 + random.delayMs(options.delayMs) + spikeMs,
    );
    schedule.at(lane.lastMs, () => {
      const end = this.#ends[other[from]];
      if (!lane.isCut && !lane.isSilent && end !== null) deliver(end);
    });
  }
}
