import { expect, test } from "vitest";
import {
  expireHolds,
  hasMemory,
  keepMemory,
  resolveTask,
} from "../../../edge/billing/account-state.ts";
import { spendable } from "../../../edge/billing/money/buckets.ts";
import { accountWith, holdFor, record, terms } from "./closings.ts";

function promising(micros: bigint, has = 0n) {
  const state = accountWith(has);
  state.promised.set("tsk_1", { limit: micros, expiresMs: 1_000 });
  return state;
}

test("a promise pays for its own task and for no other, and takes nothing of the account's", () => {
  const state = promising(500n, 300n);
  expect(holdFor(state, "tsk_2", 301n)).toBe("insufficient_quota");
  expect(holdFor(state, "tsk_1", 500n)).toBe("held");
  expect(state.held).toBe(0n);
  expect(spendable(state)).toBe(300n);
  expect(holdFor(state, "tsk_2", 300n)).toBe("held");
  expect(holdFor(state, "tsk_3", 1n)).toBe("insufficient_quota");
});

test("a promise of less than the task may cost pays for nothing of it", () => {
  expect(holdFor(promising(499n), "tsk_1", 500n)).toBe("insufficient_quota");
  expect(holdFor(promising(499n, 500n), "tsk_1", 500n)).toBe("held");
});

test("an account that owes may run what is promised, and nothing else, not even for nothing", () => {
  const state = promising(500n);
  state.available = -2n;
  expect(holdFor(state, "tsk_2", 0n)).toBe("insufficient_quota");
  expect(holdFor(state, "tsk_1", 500n)).toBe("held");
});

test("a promise counts among the tasks at a time, and is over with its task or with its time", () => {
  const state = accountWith(0n, 1);
  for (const id of ["tsk_1", "tsk_2", "tsk_3"]) {
    state.promised.set(id, { limit: 5n, expiresMs: id === "tsk_3" ? 5_000 : 1_000 });
  }
  expect(holdFor(state, "tsk_1", 5n)).toBe("held");
  expect(holdFor(state, "tsk_2", 5n)).toBe("rate_limit_exceeded");
  resolveTask(state, { kind: "void", terms: terms("tsk_1"), record }, 10);
  expect([...state.promised.keys()]).toEqual(["tsk_2", "tsk_3"]);
  expireHolds(state, 1_000);
  expect([...state.promised.keys()]).toEqual(["tsk_3"]);
});

test("a promise outlives a state that is read anew", () => {
  const before = promising(5n);
  const state = accountWith(0n);
  keepMemory(state, before);
  expect(hasMemory(state, 0)).toBe(false);
  expect(holdFor(state, "tsk_1", 5n)).toBe("held");
});
