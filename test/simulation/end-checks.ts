import { bucketOf, spendable } from "../../edge/billing/money/buckets.ts";
import { assets, bookOf, buckets } from "../../shared/assets.ts";
import { verifyJournal } from "../../shared/journal.ts";
import { hold } from "./truth.ts";
import type { World } from "./world.ts";

/** I1: every request has ended, exactly once (a second ending is caught where it happens). */
export function checkEndings(world: World): void {
  for (const { consumer } of world.fronts) {
    hold(consumer.ending !== null, "I1", () => `${consumer.taskId} has not ended for its consumer`);
  }
  for (const [id, { state, isIdle }] of world.hubs) {
    // A claim that keeps failing may be in the middle of another chance.
    const tasks = [...state.tasks.values()].filter(({ probe }) => probe === null);
    hold(tasks.length === 0, "I1", () => `${id} has ${tasks.map(({ task }) => task.id).join(" ")}`);
    const attempts = [...state.attempts.values()].filter(({ entry }) => entry.probe === null);
    hold(attempts.length === 0, "I1", () => `${id} still has attempts`);
    const isProbing = state.attempts.size > 0;
    hold(isIdle || isProbing, "I1", () => `${id} still has something to settle`);
  }
}

/** Liveness: everybody is connected and listed, and the directory knows. */
export function checkHealed(world: World): void {
  for (const worker of world.workers) {
    if (worker.treachery !== null) continue;
    hold(worker.isServing, "I1", () => `${worker.name} is ${worker.process.state.phase.kind}`);
    // A deaf engine keeps its slot for ever, and no probe finds one.
    const { hub, engine } = world.options;
    if (hub.preflight && engine.deaf > 0) continue;
    const isKnown = [...world.hubs.values()].some(({ state }) =>
      [...state.sessions.values()].some(
        ({ workerId, listings }) => workerId === worker.key && listings.length > 0,
      ),
    );
    hold(isKnown, "I1", () => `${worker.name} is listed on no hub`);
  }
  const offered = new Set(
    world.view().flatMap((digest) => digest.models.map(({ model }) => model)),
  );
  for (const { settings, treachery, name } of world.workers) {
    const { hub, engine } = world.options;
    if (treachery !== null || (hub.preflight && engine.deaf > 0)) continue;
    for (const { model } of settings.listings) {
      hold(offered.has(model), "I1", () => `${model} of ${name} is not in the directory`);
    }
  }
}

/**
 * The money at rest: nothing is held, nothing is on its way, every book agrees with every other.
 */
export function checkMoney(world: World): void {
  const balances = world.ledger.balances();
  for (const asset of assets) {
    let sum = 0n;
    for (const [book, micros] of balances) if (book.startsWith(`${asset} `)) sum += micros;
    hold(sum === 0n, "I3", () => `all accounts add up to ${sum} ${asset}`);
  }
  for (const [id, account] of world.accounts) {
    account.expire();
    const { state } = account;
    hold(state.holds.size === 0, "I7", () => `${id} still holds ${[...state.holds.keys()].join()}`);
    hold(state.leases.size === 0, "L4", () => `${id} still leases to somebody`);
    hold(state.held === 0n, "I7", () => `${id} holds ${state.held} for nobody`);
    hold(account.outboxLength === 0, "I12", () => `${id} has not told the ledger everything`);
    for (const asset of assets) {
      for (const bucket of buckets) {
        const told = balances.get(`${asset} ${bookOf(id, bucket)}`) ?? 0n;
        const has = bucketOf(state, asset, bucket);
        hold(told === has, "I12", () => `${id}: ${has} ${asset} ${bucket}, ledger ${told}`);
      }
    }
    const { unheldCost } = account.checks;
    hold(spendable(state) >= -unheldCost, "A4", () => `${id} is overdrawn by ${-spendable(state)}`);
    const verdict = verifyJournal(world.ledger.journalOf(id));
    const isWhole = verdict.kind === "whole" && verdict.head.hash === state.journal.hash;
    const why = verdict.kind === "whole" ? "ends elsewhere" : `${verdict.id}: ${verdict.what}`;
    hold(isWhole, "J1", () => `the journal of ${id} is broken: ${why}`);
  }
}

/** What consumers paid for. */
export function checkBills(world: World): void {
  const { truth } = world;
  for (const account of world.accounts.values()) {
    for (const [taskId, { cost, finish }] of account.checks.costs) {
      const ending = truth.endings.get(taskId) ?? "none";
      const isUnserved = ending.startsWith("refused") || ending === "broken";
      if (!isUnserved || cost === 0n) continue;
      // Of a lost hub's tasks only the worker's receipt is left, which no front Worker may have
      // contradicted in time.
      truth.count(`recovered though ${ending}`);
      hold(finish === "recovered", "I8", () => `${taskId} was ${ending} and cost ${cost}`);
    }
  }
}
