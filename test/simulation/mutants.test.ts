import { describe, expect, test } from "vitest";
import { calmOptions, faultKinds, type FaultKind, type Mutant, type Options } from "./options.ts";
import { runOptions } from "./run-seed.ts";

/*
 * Each mutant breaks one rule on purpose. A checker that lets it pass checks nothing: every one has
 * to be caught within a few seeds, by the invariant that names the rule.
 */

function faults(...kinds: readonly FaultKind[]): Options["faultsPerMinute"] {
  const rates = faultKinds.map((kind) => [kind, kinds.includes(kind) ? 6 : 0] as const);
  return Object.fromEntries(rates) as Options["faultsPerMinute"];
}

interface Case {
  readonly mutant: Mutant;
  readonly caughtBy: RegExp;
  readonly changes?: Partial<Options>;
}

const settling = { lost: 0, replyLost: 0.5, twice: 0.5, slowMs: 0 };
const engine = { tokenMs: 200, firstTokenMs: 100, fails: 0, hangs: 0, tooLong: 0, deaf: 0 };

const cases: readonly Case[] = [
  { mutant: "double-post", caughtBy: /^A2 I3: .* second time/, changes: { settling } },
  {
    mutant: "spliced-answer",
    caughtBy: /^I(2|5)/,
    changes: { faultsPerMinute: faults("hub-reset"), engine },
  },
  {
    mutant: "truncated-success",
    caughtBy: /^I5/,
    changes: { faultsPerMinute: faults("hub-reset"), engine },
  },
  { mutant: "lost-hold-release", caughtBy: /^I7: .* still held/ },
  { mutant: "sequence-ignored", caughtBy: /^(H3|H5|I2|I5|I8)/, changes: { byzantineShare: 1 } },
  { mutant: "rejected-receipt-paid", caughtBy: /^I16: .* false/, changes: { byzantineShare: 1 } },
  { mutant: "overbilled", caughtBy: /^A3 I8/ },
  { mutant: "lost-transfer", caughtBy: /^I12/ },
  { mutant: "credit-forged", caughtBy: /^H2/ },
  {
    mutant: "lease-overspent",
    caughtBy: /^L2: .* are closed of/,
    changes: { bursts: true, tasks: 60, creditTight: true },
  },
  {
    mutant: "lease-outlived",
    caughtBy: /^L2: .* after its time/,
    changes: { tasks: 200, spanMs: 8_000, skewMs: 2_000 },
  },
  {
    mutant: "pending-ends-twice",
    caughtBy: /^(P1|P2|A4 M2)/,
    changes: { moving: true },
  },
  { mutant: "journal-altered", caughtBy: /^J1: .* its hash is/ },
  { mutant: "window-skipped", caughtBy: /^E2: .* have waited/, changes: { disputeMs: 5_000 } },
  { mutant: "mode-ignored", caughtBy: /^A3 I8/ },
  { mutant: "own-worker-paid", caughtBy: /^A3 I8/, changes: { earnersSpend: true } },
  { mutant: "own-forgotten", caughtBy: /^A6: .* is offered to/, changes: { earnersSpend: true } },
  {
    mutant: "limit-leased-around",
    caughtBy: /^G6/,
    changes: { bursts: true, tasks: 60, limits: { requests_per_minute: 100 } },
  },
  {
    mutant: "limit-unheld",
    caughtBy: /^G2: .* run/,
    changes: { bursts: true, tasks: 60, limits: { concurrency: 2 } },
  },
  {
    mutant: "budget-forgotten",
    caughtBy: /^G2 G5/,
    changes: {
      faultsPerMinute: faults("account-reset"),
      tasks: 150,
      limits: { day_budget_micros: 4_000 },
    },
  },
  { mutant: "task-forgotten", caughtBy: /^I1: .* has not ended/ },
  {
    mutant: "continued-too-early",
    caughtBy: /^I2/,
    changes: { workers: 1, faultsPerMinute: faults("kill"), engine },
  },
];

/** What stops the first of a few seeds that something stops. */
function firstFailure(mutant: Mutant | null, changes: Partial<Options> = {}): string {
  for (let seed = 1; seed <= 20; seed++) {
    try {
      runOptions(calmOptions(seed, { ...changes, mutant }));
    } catch (error) {
      return String(error instanceof Error ? error.message : error);
    }
  }
  return "nothing";
}

describe("a broken rule is caught", () => {
  for (const { mutant, caughtBy, changes } of cases) {
    test(`${mutant} by ${caughtBy.source}`, () => {
      expect(firstFailure(mutant, changes)).toMatch(caughtBy);
    });
  }
});

describe("an unbroken rule is not", () => {
  for (const changes of new Set(cases.flatMap((of) => of.changes ?? []))) {
    test(`with ${Object.keys(changes).join(" and ")} all is well`, () => {
      expect(firstFailure(null, changes)).toBe("nothing");
    });
  }
});
