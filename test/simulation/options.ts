import { defaultHubConfig, type HubConfig } from "../../edge/hub/hub-config.ts";
import type { Limits } from "../../shared/limits.ts";
import { Random } from "./random.ts";

/** A rule that is broken on purpose, to see that a checker notices. */
export type Mutant =
  | "double-post"
  | "spliced-answer"
  | "lost-hold-release"
  | "truncated-success"
  | "sequence-ignored"
  | "rejected-receipt-paid"
  | "overbilled"
  | "lost-transfer"
  | "credit-forged"
  | "task-forgotten"
  | "continued-too-early"
  | "lease-overspent"
  | "lease-outlived"
  | "pending-ends-twice"
  | "journal-altered"
  | "window-skipped"
  | "mode-ignored"
  | "own-worker-paid"
  | "own-forgotten"
  | "limit-leased-around"
  | "budget-forgotten"
  | "limit-unheld";

/** What a byzantine worker does. */
export const treacheries = [
  "false-output-hash",
  "wrong-receipt-field",
  "overcount",
  "skip-seq",
  "repeat-frames",
  "exceed-window",
  "foreign-attempt",
  "talk-after-end",
  "unasked-choice",
  "wrong-finishes",
  "flood-after-cancel",
  "grant-too-much",
  "list-twice",
  "not-json",
  "stop-early",
  "old-receipts",
] as const;
export type Treachery = (typeof treacheries)[number];

/** Everything a run is made of; derived from its seed alone. */
export interface Options {
  readonly seed: number;
  /**
   * `safety`: faults all along. `liveness`: faults stop, and then everything has to end and heal
   * within a bound.
   */
  readonly mode: "safety" | "liveness";
  readonly hub: Omit<HubConfig, "id" | "network">;
  readonly network: "local" | "public";
  readonly workers: number;
  readonly byzantineShare: number;
  readonly tasks: number;
  readonly spanMs: number;
  readonly delayMs: number;
  readonly skewMs: number;
  /** Faults a minute, each kind. */
  readonly faultsPerMinute: Readonly<Record<FaultKind, number>>;
  readonly settling: {
    readonly lost: number;
    readonly replyLost: number;
    readonly twice: number;
    readonly slowMs: number;
  };
  readonly engine: {
    readonly tokenMs: number;
    readonly firstTokenMs: number;
    readonly fails: number;
    readonly hangs: number;
    readonly tooLong: number;
    readonly deaf: number;
  };
  readonly consumer: {
    readonly hangsUp: number;
    readonly slow: number;
    readonly neverReads: number;
  };
  readonly creditTight: boolean;
  /** How long what is earned waits. */
  readonly disputeMs: number;
  /** Money is moved and promised while tasks run. */
  readonly moving: boolean;
  /** Listings and tariffs change while tasks run. */
  readonly repricing: boolean;
  /** Accounts of workers ask for tasks too. */
  readonly earnersSpend: boolean;
  /** What all of an account together may use; null for no limit. */
  readonly limits: Limits | null;
  /** Everybody asks at about the same time. */
  readonly bursts: boolean;
  readonly mutant: Mutant | null;
}

export const faultKinds = [
  "drop",
  "half-open",
  "kill",
  "power-cut",
  "pause",
  "drain",
  "hub-reset",
  "hub-sleep",
  "account-reset",
  "directory-reset",
  "front-death",
  "isolate-death",
  "ledger-down",
  "hub-drain",
] as const;
export type FaultKind = (typeof faultKinds)[number];

const calm: Options = {
  seed: 0,
  mode: "safety",
  hub: { ...defaultHubConfig, preflight: false },
  network: "public",
  workers: 3,
  byzantineShare: 0,
  tasks: 30,
  spanMs: 60_000,
  delayMs: 20,
  skewMs: 0,
  faultsPerMinute: Object.fromEntries(faultKinds.map((kind) => [kind, 0])) as Record<
    FaultKind,
    number
  >,
  settling: { lost: 0, replyLost: 0, twice: 0, slowMs: 0 },
  engine: { tokenMs: 40, firstTokenMs: 200, fails: 0, hangs: 0, tooLong: 0, deaf: 0 },
  consumer: { hangsUp: 0, slow: 0, neverReads: 0 },
  creditTight: false,
  disputeMs: 3_600_000,
  moving: false,
  repricing: false,
  earnersSpend: false,
  limits: null,
  bursts: false,
  mutant: null,
};

/** No faults at all: what a run is before chance is let in. */
export function calmOptions(seed: number, changes: Partial<Options> = {}): Options {
  return { ...calm, seed, ...changes };
}

/**
 * The options of a seed. Every kind of fault is left out of some runs (swarm testing, Groce et al.
 * 2012): a fault that is always there hides the ones that need calm to do harm.
 */
export function optionsOf(seed: number): Options {
  const random = new Random(seed * 2 + 1);
  const rate = (most: number, present = 0.6) => (random.chance(present) ? random.next() * most : 0);
  const workers = random.int(1, 6);
  return {
    seed,
    mode: random.chance(0.5) ? "safety" : "liveness",
    // Drawn apart, so that a seed's other options do not depend on it.
    hub: { ...hubLimits(random), ...preflightOf(new Random(seed * 2 + 2)) },
    network: "public",
    workers,
    byzantineShare: random.chance(0.4) ? random.next() * 0.7 : 0,
    tasks: random.int(8, 40),
    bursts: false,
    spanMs: random.int(15, 70) * 1000,
    delayMs: random.pick([1, 5, 20, 80, 300]),
    skewMs: random.chance(0.5) ? 0 : 2_000,
    faultsPerMinute: {
      drop: rate(8),
      "half-open": rate(4),
      kill: rate(6),
      "power-cut": rate(3),
      pause: rate(4),
      drain: rate(2),
      "hub-reset": rate(3),
      "hub-sleep": rate(10),
      "account-reset": rate(3),
      "directory-reset": rate(2),
      "front-death": rate(3),
      "isolate-death": new Random(seed * 2 + 3).chance(0.5) ? 3 : 0,
      "ledger-down": rate(2),
      // Drawn apart, so that a seed's other options do not depend on it.
      "hub-drain": drainsOf(new Random(1_000_000_000 + seed)),
    },
    settling: { lost: rate(0.3), replyLost: rate(0.3), twice: rate(0.3), slowMs: rate(1_000) },
    engine: {
      tokenMs: random.pick([1, 10, 40, 200]),
      firstTokenMs: random.pick([5, 100, 1_000]),
      fails: rate(0.2),
      hangs: rate(0.15),
      tooLong: rate(0.1),
      deaf: rate(0.05),
    },
    consumer: { hangsUp: rate(0.4), slow: rate(0.4), neverReads: rate(0.1) },
    creditTight: random.chance(0.3),
    ...ledgerOf(new Random(seed * 2 + 5)),
    // Drawn apart, so that a seed's other options do not depend on it.
    limits: limitsOf(new Random(3_000_000_000 + seed)),
    ...burstsOf(new Random(seed * 2 + 4)),
    mutant: null,
  };
}

/** Hubs are told in some runs to send their workers elsewhere. */
function drainsOf(random: Random): number {
  return random.chance(0.4) ? random.next() * 4 : 0;
}

/** What befalls the ledger besides tasks. */
function ledgerOf(random: Random) {
  return {
    disputeMs: random.pick([1, 20_000, 24 * 3_600_000]),
    moving: random.chance(0.5),
    repricing: random.chance(0.5),
    earnersSpend: random.chance(0.5),
  };
}

/** In some runs there are limits, small enough to be met. */
function limitsOf(random: Random): Limits | null {
  if (!random.chance(0.4)) return null;
  return {
    requests_per_minute: random.int(3, 60),
    ...(random.chance(0.5) ? { concurrency: random.int(1, 8) } : {}),
    ...(random.chance(0.5) ? { tokens_per_minute: random.int(1, 40) * 1_000 } : {}),
    ...(random.chance(0.6) ? { day_budget_micros: random.int(2, 100) * 1_000 } : {}),
  };
}

/** In some runs keys are busy enough for leases. */
function burstsOf(random: Random): Partial<Options> {
  return random.chance(0.3) ? { bursts: true, tasks: random.int(40, 120) } : {};
}

/** Claims are probed in some runs, and again within the run. */
function preflightOf(random: Random): Partial<HubConfig> {
  const times = { preflightMs: 10_000, preflightRetryMs: 100 };
  return { preflight: random.chance(0.3), ...times };
}

/** Limits small enough to be met in a minute of virtual time. */
function hubLimits(random: Random): Options["hub"] {
  return {
    ...defaultHubConfig,
    firstTokenMs: random.pick([1_500, 4_000, 10_000]),
    queueMs: random.pick([1_000, 5_000, 10_000]),
    stallMs: random.pick([3_000, 8_000]),
    cancelMs: random.pick([500, 5_000]),
    queueMax: random.pick([2, 8, 512]),
    bodiesCharsMax: random.pick([400_000, 100_000_000]),
    sessionsMax: random.pick([2, 3, 8, 256]),
    paceMs: random.pick([0, 25, 200]),
    windowBytes: random.pick([64, 512, 64 * 1024]),
    outputBytesMax: random.pick([2_000, 8 * 1024 * 1024]),
  };
}
