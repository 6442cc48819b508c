import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  grantLease,
  issuableUntilMs,
  type Lease,
  returnLease,
} from "../../../edge/billing/leases/account-leases.ts";
import {
  type AccountState,
  expireHolds,
  hasMemory,
  mustWait,
  resolveTask,
} from "../../../edge/billing/account-state.ts";
import { type LeaseAsk, leaseMs } from "../../../edge/billing/leases/lease-terms.ts";
import { holdMs } from "../../../edge/billing/ticket.ts";
import { setKeyGroups, setLimits } from "../../../edge/billing/limits/limit-chain.ts";
import { accountId, accountWith, holdFor, post, terms } from "./closings.ts";

function askOf(changes: Partial<LeaseAsk> = {}): LeaseAsk {
  return { id: "lea_1", keyId: "key_1", limit: 1_000n, tasks: 8, taskLimit: 10n, ...changes };
}

/** Posts a task of a lease that agreed to 10 micros and cost `cost` of them. */
function close(state: AccountState, task: string, cost: number, lease = "lea_1"): void {
  const counts = { promptTokens: 0, completionTokens: cost };
  resolveTask(state, post(task, counts, { limit: "10", lease }), 5);
}

function leaseOf(state: AccountState, id = "lea_1"): Lease {
  const lease = state.leases.get(id);
  if (lease === undefined) throw new Error(`there is no lease ${id}`);
  return lease;
}

describe("a lease", () => {
  test("sets its whole limit and its tasks aside (L1)", () => {
    const state = accountWith(8_000n, 40);
    expect(grantLease(state, askOf(), 0)).toEqual({ limit: 1_000n, tasksMax: 8 });
    expect([state.available, state.held, state.leasedTasks]).toEqual([8_000n, 1_000n, 8]);
    expect(holdFor(state, "a", 7_001n)).toBe("insufficient_quota");
    expect(holdFor(state, "b", 7_000n)).toBe("held");
  });

  test("is a share of what is free at most, however much is asked for", () => {
    const state = accountWith(8_000n, 40);
    const ask = askOf({ limit: 1_000_000n, tasks: 1_000 });
    expect(grantLease(state, ask, 0)).toEqual({ limit: 1_000n, tasksMax: 10 });
    const next = grantLease(state, { ...ask, id: "lea_2" }, 0);
    expect(next).toEqual({ limit: 875n, tasksMax: 7 });
  });

  test("leaves no room for other tasks than it has", () => {
    const state = accountWith(8_000n, 40);
    grantLease(state, askOf(), 0);
    for (let task = 0; task < 32; task++) expect(holdFor(state, `t${task}`, 1n)).toBe("held");
    expect(holdFor(state, "more", 1n)).toBe("rate_limit_exceeded");
  });

  test.each([
    ["little credit", accountWith(319n, 40)],
    ["no credit", accountWith(0n, 40)],
    ["few tasks at a time", accountWith(8_000n, 15)],
    ["its account suspended", { ...accountWith(8_000n, 40), status: "suspended" as const }],
  ])("is not given to a key with %s", (_of, state) => {
    expect(grantLease(state, askOf(), 0)).toBeNull();
    expect([state.held, state.leasedTasks]).toEqual([0n, 0]);
  });

  test("is not given to a key that is revoked or unknown", () => {
    const state = accountWith(8_000n, 40);
    state.keys.set("key_2", "revoked");
    expect(grantLease(state, askOf({ keyId: "key_2" }), 0)).toBeNull();
    expect(grantLease(state, askOf({ keyId: "key_3" }), 0)).toBeNull();
  });

  test.each([
    ["account", accountId],
    ["team", "team_1"],
    ["project", "project_1"],
    ["key", "key_1"],
  ] as const)("is not given to a key whose %s has a limit (G6)", (scope, id) => {
    const state = accountWith(8_000n, 40);
    setKeyGroups(state.limits, "key_1", { teamId: "team_1", projectId: "project_1" });
    for (const limits of [{ concurrency: 99 }, { models: { m: { max_tokens: 5 } } }]) {
      setLimits(state.limits, { scope, id }, limits);
      expect(grantLease(state, askOf(), 0)).toBeNull();
    }
    expect([state.held, state.leasedTasks]).toEqual([0n, 0]);
    setLimits(state.limits, { scope, id }, null);
    expect(grantLease(state, askOf(), 0)).not.toBeNull();
  });

  test("is given to a key beside whom others have limits", () => {
    const state = accountWith(8_000n, 40);
    setKeyGroups(state.limits, "key_1", { teamId: "team_1", projectId: null });
    setLimits(state.limits, { scope: "team", id: "team_2" }, { concurrency: 1 });
    setLimits(state.limits, { scope: "key", id: "key_2" }, { concurrency: 1 });
    expect(grantLease(state, askOf(), 0)).not.toBeNull();
  });

  test("of tasks that cost nothing still needs an account with credit", () => {
    const ask = askOf({ limit: 0n, taskLimit: 0n });
    expect(grantLease(accountWith(0n, 40), ask, 0)).toBeNull();
  });

  test("is memory that counts until all of it came back", () => {
    const state = accountWith(8_000n, 40);
    grantLease(state, askOf(), 0);
    expect(hasMemory(state, 0)).toBe(true);
    returnLease(state, { id: "lea_1", micros: 0n, tasks: 0, running: 0 });
    expect(hasMemory(state, 0)).toBe(false);
  });

  test("that is asked for twice is the same", () => {
    const state = accountWith(8_000n, 40);
    const first = grantLease(state, askOf(), 0);
    expect(grantLease(state, askOf(), 0)).toEqual(first);
    expect(state.held).toBe(1_000n);
  });
});

describe("what a lease sets aside returns (L3)", () => {
  test("a closed task's limit at once, whatever it cost", () => {
    const state = accountWith(8_000n, 40);
    grantLease(state, askOf(), 0);
    close(state, "a", 3);
    expect([state.available, state.held, state.leasedTasks]).toEqual([7_997n, 990n, 8]);
  });

  test("what was never issued as soon as the isolate says so, the rest as its tasks close", () => {
    const state = accountWith(8_000n, 40);
    grantLease(state, askOf(), 0);
    close(state, "a", 10);
    returnLease(state, { id: "lea_1", micros: 30n, tasks: 3, running: 3 });
    expect([state.held, state.leasedTasks]).toEqual([20n, 2]);
    close(state, "b", 0);
    close(state, "c", 1);
    expect([state.held, state.leasedTasks, state.leases.size]).toEqual([0n, 0, 0]);
    expect(state.available).toBe(7_989n);
  });

  test("the room of tasks that have ended before they are closed", () => {
    const state = accountWith(8_000n, 40);
    grantLease(state, askOf(), 0);
    returnLease(state, { id: "lea_1", micros: 60n, tasks: 6, running: 2 });
    expect([state.held, state.leasedTasks]).toEqual([60n, 2]);
    for (const task of ["a", "b", "c", "d", "e"]) close(state, task, 1);
    expect([state.held, state.leasedTasks]).toEqual([10n, 1]);
    close(state, "f", 1);
    expect([state.held, state.leasedTasks, state.leases.size]).toEqual([0n, 0, 0]);
  });

  test("once, however often it is said", () => {
    const state = accountWith(8_000n, 40);
    grantLease(state, askOf(), 0);
    returnLease(state, { id: "lea_1", micros: 30n, tasks: 3, running: 3 });
    returnLease(state, { id: "lea_1", micros: 0n, tasks: 0, running: 0 });
    expect([state.held, state.leasedTasks]).toEqual([30n, 3]);
    returnLease(state, { id: "lea_9", micros: 9n, tasks: 9, running: 9 });
    expect(state.held).toBe(30n);
  });

  test("never more than there was", () => {
    const state = accountWith(8_000n, 40);
    grantLease(state, askOf(), 0);
    returnLease(state, { id: "lea_1", micros: 1_000_000n, tasks: 3, running: 3 });
    expect(state.held).toBe(1_000n);
    for (let task = 0; task < 200; task++) close(state, `t${task}`, 0);
    expect([state.held, state.leasedTasks, state.leases.size]).toEqual([0n, 0, 0]);
  });

  test("all of it, where nobody says anything, once its last task has expired (L4)", () => {
    const state = accountWith(8_000n, 40);
    grantLease(state, askOf(), 0);
    expireHolds(state, leaseMs + holdMs - 1);
    expect(state.held).toBe(1_000n);
    expireHolds(state, leaseMs + holdMs);
    expect([state.held, state.leasedTasks, state.leases.size]).toEqual([0n, 0, 0]);
    // The task is paid all the same, as one whose hold was forgotten (A4).
    close(state, "late", 10);
    expect([state.available, state.held]).toEqual([7_990n, 0n]);
  });
});

describe("who revokes a key waits (L5)", () => {
  test("until the last of its leases that can be issued from is over", () => {
    const state = accountWith(80_000n, 400);
    state.keys.set("key_2", "active");
    grantLease(state, askOf(), 0);
    grantLease(state, askOf({ id: "lea_2" }), 100);
    grantLease(state, askOf({ id: "lea_3", keyId: "key_2" }), 300);
    expect(issuableUntilMs(state, "key_1", 300)).toBe(100 + leaseMs);
    expect(issuableUntilMs(state, null, 300)).toBe(300 + leaseMs);
    expect(issuableUntilMs(state, "key_1", 100 + leaseMs)).toBeNull();
  });

  test("not for leases that were returned", () => {
    const state = accountWith(80_000n, 400);
    grantLease(state, askOf(), 0);
    returnLease(state, { id: "lea_1", micros: 10n, tasks: 1, running: 1 });
    expect(leaseOf(state).issued).toEqual({ micros: 10n, tasks: 1, running: 1 });
    expect(issuableUntilMs(state, "key_1", 0)).toBeNull();
  });
});

test("a receipt that came back waits while its lease's task may run", () => {
  const state = accountWith(8_000n, 40);
  grantLease(state, askOf(), 0);
  const closing = {
    ...post("a", { promptTokens: 0, completionTokens: 5 }, { lease: "lea_1" }),
    isRecovered: true,
  };
  const { expires_ms: expiresMs } = terms("a");
  expect(mustWait(state, closing, expiresMs - 1)).toBe(true);
  expect(mustWait(state, closing, expiresMs)).toBe(false);
  expect(mustWait(accountWith(8_000n), closing, 0)).toBe(false);
});

test("whatever happens in whatever order, what is set aside is what holds and leases say", () => {
  const id = fc.constantFrom("lea_1", "lea_2", "lea_3");
  const step = fc.oneof(
    fc.record({ kind: fc.constant("ask" as const), id, limit: fc.bigInt(0n, 2_000n) }),
    fc.record({ kind: fc.constant("return" as const), id, micros: fc.bigInt(0n, 3_000n) }),
    fc.record({ kind: fc.constant("close" as const), id, cost: fc.nat(12) }),
    fc.record({ kind: fc.constant("hold" as const), limit: fc.bigInt(0n, 9_000n) }),
    fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(holdMs) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const state = accountWith(8_000n, 40);
      let nowMs = 0;
      for (const [at, next] of steps.entries()) {
        if (next.kind === "ask") grantLease(state, askOf({ ...next, taskLimit: 1n }), nowMs);
        else if (next.kind === "return") returnLease(state, { ...next, tasks: 5, running: 3 });
        else if (next.kind === "close") close(state, `c${at}`, next.cost, next.id);
        else if (next.kind === "hold") holdFor(state, `h${at}`, next.limit, { nowMs });
        else nowMs += next.ms;
        expect([state.held, state.leasedTasks]).toEqual(asideOf(state));
        expect(state.held).toBeGreaterThanOrEqual(0n);
      }
      expireHolds(state, nowMs + leaseMs + holdMs);
      expect([state.held, state.leasedTasks]).toEqual([0n, 0]);
    }),
  );
});

function asideOf(state: AccountState): [bigint, number] {
  let micros = 0n;
  let tasks = 0;
  for (const { limit } of state.holds.values()) micros += limit;
  for (const { limit, tasksMax, issued, closedMicros, closedTasks } of state.leases.values()) {
    const left = (issued?.micros ?? limit) - closedMicros;
    micros += left > 0n ? left : 0n;
    const open = Math.min(issued?.running ?? 0, (issued?.tasks ?? 0) - closedTasks);
    tasks += issued === null ? tasksMax : Math.max(0, open);
  }
  return [micros, tasks];
}
