import { spendable } from "../../edge/billing/money/buckets.ts";
import { AssertionError } from "../../shared/assert.ts";
import { checkBills, checkEndings, checkHealed, checkMoney } from "./end-checks.ts";
import { replayReceipts, scheduleFaults } from "./faults.ts";
import { type Options, optionsOf } from "./options.ts";
import { epochMs } from "./schedule.ts";
import type { InferenceRequest } from "../../edge/inference/engine-request.ts";
import { requestOf } from "./front/request.ts";
import { hold, Violation } from "./truth.ts";
import { World } from "./world.ts";

/** What a run came to. */
export interface Run {
  readonly hash: number;
  readonly events: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** A queue that waits to its end on two hubs, one after the other: everything else is shorter. */
const healMs = 700_000;
/** More than a hold lasts, or a lease that nobody returns. */
const expiryMs = 40 * 60_000;
const dayMs = 25 * 3_600_000;
/** A run of more events is a livelock: the longest sane ones have a tenth. */
const eventsMax = 2_000_000;

/** Runs the options of one seed to the end. Throws an Error that says how to run it again. */
export function runSeed(seed: number, print: ((line: string) => void) | null = null): Run {
  return runOptions(optionsOf(seed), print);
}

export function runOptions(options: Options, print: ((line: string) => void) | null = null): Run {
  const world = new World(options, print);
  try {
    run(world);
  } catch (error) {
    const isFound = error instanceof Violation || error instanceof AssertionError;
    if (!isFound && !(error instanceof Error)) throw error;
    throw new Error(describe(world, error), { cause: error });
  }
  return { hash: world.trace.hash, events: world.schedule.count, counts: world.truth.counts };
}

function run(world: World): void {
  const { options } = world;
  scheduleFaults(world);
  const spanEndMs = epochMs + options.spanMs;
  runUntil(world, spanEndMs);
  // In safety runs faults go on while the last tasks end; in liveness runs everything has to heal
  // by itself.
  if (options.mode === "safety") runUntil(world, spanEndMs + healMs);
  world.faultsOn = false;
  runUntil(world, world.schedule.nowMs + healMs);
  checkEndings(world);
  checkHealed(world);
  runUntil(world, world.schedule.nowMs + expiryMs);
  checkMoney(world);
  checkBills(world);
  probe(world);
  const before = balancesOf(world);
  world.schedule.nowMs += dayMs;
  replayReceipts(world);
  runUntil(world, world.schedule.nowMs + 30_000);
  checkMoney(world);
  const after = balancesOf(world);
  if (before !== after) throw new Violation("A2 I3", `a day later ${before} is ${after}`);
}

/** Liveness: in a healthy network every model that is offered answers, whatever went before. */
function probe(world: World): void {
  const { options, random } = world;
  // A byzantine worker may spoil an answer, and a deaf engine keeps its slot for ever; and limits
  // may be too tight for a slow network or a long answer.
  const isHealthy = options.byzantineShare === 0 && options.engine.deaf === 0;
  const isRoomy = options.delayMs <= 80 && options.hub.outputBytesMax > 10_000;
  if (!isHealthy || !isRoomy) return;
  const [consumer] = world.accounts.values();
  consumer?.mint(1_000_000_000n);
  consumer?.limit(null);
  const offered = world.view().flatMap((digest) => digest.models.map(({ model }) => model));
  const fronts = [...new Set(offered)].map((model, at) => {
    const request = requestOf(options, random, options.tasks + at, [consumer?.id ?? ""]);
    const wanted = { ...request.wanted.request, model };
    return world.ask({
      ...request,
      model,
      wanted: { ...request.wanted, request: wanted } as InferenceRequest,
      hangUpAfterMs: null,
      readMs: 0,
    });
  });
  runUntil(world, world.schedule.nowMs + healMs);
  for (const { consumer: asked } of fronts) {
    hold(asked.ending === "answered", "I1", () => `${asked.taskId} is ${asked.ending} in calm`);
  }
}

function balancesOf(world: World): string {
  return [...world.accounts].map(([id, { state }]) => `${id} ${spendable(state)}`).join(", ");
}

function runUntil(world: World, untilMs: number): void {
  const { schedule } = world;
  while (schedule.step(untilMs)) {
    if (schedule.count > eventsMax)
      throw new Violation("I1", `${schedule.count} events: a livelock`);
  }
  schedule.nowMs = Math.max(schedule.nowMs, untilMs);
}

function describe(world: World, error: Error): string {
  const { seed } = world.options;
  return [
    error.message,
    `SEED=${seed} npx vitest run --project node test/simulation`,
    JSON.stringify(world.options),
    ...world.trace.last(),
    error instanceof Violation ? "" : (error.stack ?? ""),
  ].join("\n");
}
