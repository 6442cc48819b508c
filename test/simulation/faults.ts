import { encodeFrame } from "../../shared/protocol/codec.ts";
import { type FaultKind, faultKinds } from "./options.ts";
import type { World } from "./world.ts";

/** Lets faults of every kind happen at their rates until they are turned off. */
export function scheduleFaults(world: World): void {
  for (const kind of faultKinds) {
    if (world.options.faultsPerMinute[kind] > 0) nextFault(world, kind);
  }
  nextTalk(world);
}

function nextFault(world: World, kind: FaultKind): void {
  const meanMs = 60_000 / world.options.faultsPerMinute[kind];
  world.schedule.after(1 + world.random.delayMs(meanMs), () => {
    if (!world.faultsOn) return;
    inject(world, kind);
    nextFault(world, kind);
  });
}

/** Byzantine workers bring old receipts back whenever they like. */
function nextTalk(world: World): void {
  world.schedule.after(2_000, () => {
    if (!world.faultsOn) return;
    for (const { treachery, process } of world.workers) {
      if (treachery?.kinds.has("old-receipts") !== true) continue;
      if (process.state.phase.kind !== "serving") continue;
      for (const text of treachery.oldReceipts()) process.say(text);
    }
    nextTalk(world);
  });
}

function inject(world: World, kind: FaultKind): void {
  const { random, schedule } = world;
  const worker = random.pick(world.workers);
  const { wire } = worker.process;
  const hub = world.hubs.size === 0 ? null : random.pick([...world.hubs.values()]);
  world.truth.count(`fault: ${kind}`);
  switch (kind) {
    case "drop":
      world.trace.note(worker.name, "loses its connection");
      return wire?.break();
    case "half-open": {
      world.trace.note(worker.name, "is cut off unnoticed");
      const sides = random.pick([["worker"], ["hub"], ["worker", "hub"]] as const);
      return wire?.silence(sides);
    }
    case "kill":
      return worker.kill(true);
    case "power-cut":
      return worker.kill(false);
    case "pause":
      return worker.pause(random.pick([200, 5_000, 45_000]));
    case "drain":
      world.trace.note(worker.name, "drains");
      return worker.process.dispatch({ kind: "drain" });
    case "hub-reset":
      return hub?.reset();
    case "hub-sleep":
      return hub?.sleep();
    case "hub-drain":
      return hub?.drain(random.pick([null, 0, 5_000, 60_000]));
    case "account-reset":
      return random.pick([...world.accounts.values()]).reset();
    case "directory-reset":
      return world.resetDirectory();
    case "front-death": {
      const running = world.fronts.filter((front) => !front.isOver);
      if (running.length > 0) random.pick(running).die();
      return;
    }
    case "isolate-death": {
      const isolate = random.pick(world.isolates);
      for (const front of world.fronts) if (front.isolate === isolate) front.die();
      return isolate.die();
    }
    case "ledger-down":
      world.ledger.isDown = true;
      schedule.after(random.int(1_000, 20_000), () => {
        world.ledger.isDown = false;
      });
      return;
  }
}

/** A day later: resolutions are forgotten, and every receipt there ever was is brought back. */
export function replayReceipts(world: World): void {
  for (const account of world.accounts.values()) account.forgetOld();
  for (const { process, treachery } of world.workers) {
    if (treachery === null) continue;
    for (const text of treachery.oldReceipts()) process.say(text);
    // Only who lies grants a slot it does not have; hubs still probe at this time (P5).
    process.say(encodeFrame({ type: "credit.grant", slots: 1 }));
  }
}
