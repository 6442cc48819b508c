import { describe, expect, test } from "vitest";
import {
  type AccountState,
  createAccountState,
  expireHolds,
  hasMemory,
  keepMemory,
  mintCredit,
  resolveTask,
} from "../../../edge/billing/account-state.ts";
import { setLimits } from "../../../edge/billing/limits/limit-chain.ts";
import type { Limits } from "../../../shared/limits.ts";
import { accountId, accountWith, holdFor, post, record, terms } from "./closings.ts";

function limitedAccount(limits: Limits, micros = 1_000n, concurrencyMax = 10): AccountState {
  const state = accountWith(micros, concurrencyMax);
  setLimits(state.limits, { scope: "account", id: accountId }, limits);
  return state;
}

describe("a hold that is refused takes nothing (G1)", () => {
  test("of credit where a limit refuses it", () => {
    const state = limitedAccount({ concurrency: 1 });
    expect(holdFor(state, "a", 10n)).toBe("held");
    expect(holdFor(state, "b", 10n)).toBe("rate_limit_exceeded");
    expect([state.held, state.holds.size]).toEqual([10n, 1]);
  });

  test("of a limit where there is too little credit, or too many tasks", () => {
    const state = limitedAccount({ requests_per_minute: 2 }, 5n, 1);
    for (let task = 0; task < 9; task++) {
      expect(holdFor(state, `dear ${task}`, 6n)).toBe("insufficient_quota");
    }
    expect(holdFor(state, "a", 1n)).toBe("held");
    expect(holdFor(state, "b", 1n)).toBe("rate_limit_exceeded");
    expect(state.limits.tasks.size).toBe(1);
    resolveTask(state, { kind: "void", terms: terms("a"), record }, 0);
    expect(holdFor(state, "c", 1n)).toBe("held");
  });
});

describe("what a task holds of its limits comes back (G4)", () => {
  const ends = {
    "is posted": (state: AccountState) =>
      void resolveTask(state, post("a", { promptTokens: 0, completionTokens: 5 }), 5),
    "is voided": (state: AccountState) =>
      void resolveTask(state, { kind: "void", terms: terms("a"), record }, 5),
    expires: (state: AccountState) => expireHolds(state, 1_000),
  };

  test.each(Object.entries(ends))("when it %s", (_how, end) => {
    const state = limitedAccount({ concurrency: 1, day_budget_micros: 100 });
    expect(holdFor(state, "a", 90n)).toBe("held");
    expect(holdFor(state, "b", 1n)).toBe("rate_limit_exceeded");
    end(state);
    expect(holdFor(state, "c", 95n, { nowMs: 1_000, expiresMs: 2_000 })).toBe("held");
  });

  test("once it has expired and somebody needs it, without waiting to be told", () => {
    const state = limitedAccount({ day_budget_micros: 100 });
    expect(holdFor(state, "a", 90n, { expiresMs: 50 })).toBe("held");
    expect(holdFor(state, "b", 90n, { nowMs: 49 })).toBe("insufficient_quota");
    expect(holdFor(state, "b", 90n, { nowMs: 50 })).toBe("held");
  });
});

test("what was posted is spent, though its hold had expired or was never known", () => {
  const state = limitedAccount({ day_budget_micros: 100 });
  holdFor(state, "a", 60n, { expiresMs: 50 });
  expireHolds(state, 50);
  resolveTask(state, post("a", { promptTokens: 0, completionTokens: 60 }), 60);
  resolveTask(state, post("leased", { promptTokens: 0, completionTokens: 20 }), 60);
  expect(holdFor(state, "b", 21n, { nowMs: 60 })).toBe("insufficient_quota");
  expect(holdFor(state, "b", 20n, { nowMs: 60 })).toBe("held");
});

test("a state that was read anew goes on with what the one before had in memory", () => {
  const limits = { requests_per_minute: 3, concurrency: 2 };
  const before = limitedAccount(limits);
  holdFor(before, "a", 100n);
  const state = createAccountState(accountId);
  state.concurrencyMax = 10;
  state.keys.set("key_1", "active");
  mintCredit(state, { id: "tfr_1", micros: 1_000n }, 0);
  setLimits(state.limits, { scope: "account", id: accountId }, limits);
  keepMemory(state, before);
  expect(state.held).toBe(100n);
  expect(holdFor(state, "b", 1n)).toBe("held");
  expect(holdFor(state, "c", 1n)).toBe("rate_limit_exceeded");
  resolveTask(state, { kind: "void", terms: terms("a"), record }, 0);
  expect(holdFor(state, "c", 1n)).toBe("held");
});

test("an account has memory to keep while it holds, and while a bucket is not full", () => {
  const state = limitedAccount({ requests_per_minute: 60 });
  expect(hasMemory(state, 0)).toBe(false);
  holdFor(state, "a", 1n, { expiresMs: 100 });
  expect(hasMemory(state, 99)).toBe(true);
  expect(hasMemory(state, 999)).toBe(true);
  expect(state.holds.size).toBe(0);
  expect(hasMemory(state, 1_000)).toBe(false);
});
