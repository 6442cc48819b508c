import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { ListingPublish } from "../../../shared/protocol/listing.ts";
import type { TaskOffer } from "../../../shared/protocol/task.ts";
import { SessionDriver, challenge, offerFor, welcome, words } from "./session-driver.ts";

const slotsByModel: Record<string, number> = { words: 2, other: 1 };
const slots = 3;
const both = [words, { ...words, model: "other", slots: 1 }];

/** A session, and what its hub believes. */
class World {
  readonly driver = new SessionDriver({ listings: both });
  readonly #running = new Map<string, string>();
  /** What the worker was last told to offer. */
  #offered: readonly string[] = ["words", "other"];
  #published: readonly string[] = [];
  #revision = 0;
  #credits = 0;
  #offers = 0;

  /** Everything that can happen to a worker; what cannot happen now does nothing. */
  readonly happenings = {
    dial: () => {
      this.driver.tell({ kind: "start" });
      this.driver.tell({ kind: "timer", timer: "retry" });
    },
    opened: () => this.driver.tell({ kind: "opened" }),
    challenge: () => this.#phase === "greeted" && this.driver.frame(challenge),
    signed: () => {
      const { phase } = this.driver.state;
      const message = phase.kind === "proving" ? phase.proving.message : "";
      this.driver.tell({ kind: "signed", message, signature: "S".repeat(86) });
    },
    welcome: () => this.#phase === "proved" && this.driver.frame(welcome),
    listed: () => {
      if (this.#phase !== "serving") return;
      const { revision } = this.driver.state;
      const listed = this.driver.state.listings.map(({ model }) => model);
      this.driver.frame({ type: "listing.result", revision, listed, refused: [] });
    },
    serve: () => {
      for (const part of ["dial", "opened", "challenge", "signed", "welcome", "listed"] as const) {
        this.happenings[part]();
      }
    },
    offer: () => this.#take(),
    over: () => {
      const [attempt] = this.#running.keys();
      if (attempt === undefined) return;
      this.#running.delete(attempt);
      this.driver.tell({ kind: "attempt-over", attempt });
    },
    closed: () => this.driver.tell({ kind: "closed", code: 1006, reason: "" }),
    broken: () => this.driver.tell({ kind: "broken", code: 4400, reason: "x" }),
    heartbeat: () => {
      this.driver.nowMs += 10_000;
      this.driver.tell({ kind: "timer", timer: "heartbeat" });
    },
    withdrawWords: () => this.#offer(["other"]),
    withdrawAll: () => this.#offer([]),
    offerAll: () => this.#offer(["words", "other"]),
    drain: () => this.driver.tell({ kind: "drain" }),
    drainTimer: () => this.driver.tell({ kind: "timer", timer: "drain" }),
    flushed: () => this.driver.tell({ kind: "flushed" }),
  };

  step(name: keyof World["happenings"]): void {
    const before = this.driver.effects.length;
    const wasStopped = this.#phase === "stopped";
    this.happenings[name]();
    const effects = this.driver.effects.slice(before);
    if (wasStopped) expect(effects).toEqual([]);
    for (const effect of effects) {
      if (effect.kind === "start-attempt") this.#start(effect.offer);
      if (effect.kind === "send" && effect.frame.type === "listing.publish") {
        this.#publish(effect.frame);
      }
      if (effect.kind !== "send" || effect.frame.type !== "credit.grant") continue;
      this.#credits += effect.frame.slots;
    }
    const { phase } = this.driver.state;
    if (phase.kind !== "serving") this.#credits = 0;
    else {
      expect(phase.credits).toBe(this.#credits);
      expect(this.#published).toEqual(this.#offered);
    }
    // An attempt of a withdrawn model keeps its slot; what it held may be granted for nothing else.
    expect(this.#running.size).toBeLessThanOrEqual(slots);
    expect(this.#credits).toBeLessThanOrEqual(slots);
  }

  #offer(models: readonly string[]): void {
    this.#offered = models;
    const listings = both.filter(({ model }) => models.includes(model));
    this.driver.tell({ kind: "listings", listings });
  }

  #start({ attempt, model }: TaskOffer): void {
    expect(this.#offered).toContain(model);
    this.#running.set(attempt, model);
    const running = [...this.#running.values()].filter((one) => one === model).length;
    expect(running).toBeLessThanOrEqual(slotsByModel[model] ?? 0);
  }

  /** A hub takes only a later revision. */
  #publish({ revision, listings }: ListingPublish): void {
    expect(revision).toBeGreaterThan(this.#revision);
    this.#revision = revision;
    this.#published = listings.map(({ model }) => model);
  }

  get #phase(): string {
    return this.driver.state.phase.kind;
  }

  /** A hub offers only what it has a credit for, but for one time in five. */
  #take(): void {
    this.#offers += 1;
    if (this.#phase !== "serving" || (this.#credits === 0 && this.#offers % 5 > 0)) return;
    this.#credits = Math.max(0, this.#credits - 1);
    const model = this.#offers % 3 === 0 ? "other" : "words";
    this.driver.frame(offerFor(this.#offers, { model }));
  }
}

const names = Object.keys(new World().happenings) as (keyof World["happenings"])[];
const happening = fc.oneof(
  fc.constantFrom(...names.filter((name) => name !== "drain")),
  { weight: 3, arbitrary: fc.constantFrom("serve" as const, "offer" as const, "over" as const) },
  { weight: 1, arbitrary: fc.constantFrom(...names) },
);

test("only what is offered is served, within its slots, and nothing follows a stop, whatever happens", () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 120 }), (happenings) => {
      const world = new World();
      for (const name of happenings) world.step(name);
    }),
    { numRuns: 500 },
  );
});
