import { expect, test } from "vitest";
import { mustWait } from "../../../edge/billing/account-state.ts";
import { accountWith, holdFor, post } from "./closings.ts";

const nowMs = 1_000;
const expiresMs = 61_000;
const counts = { promptTokens: 1, completionTokens: 1 };

function holding(task: string) {
  const state = accountWith(1_000_000n);
  expect(holdFor(state, task, 10n, { nowMs, expiresMs })).toBe("held");
  return state;
}

test("a receipt that came back waits while its task's hold stands, and no longer", () => {
  const recovered = { ...post("tsk_a", counts), isRecovered: true };
  const state = holding("tsk_a");
  expect(mustWait(state, recovered, nowMs)).toBe(true);
  expect(mustWait(state, recovered, expiresMs)).toBe(false);
  state.holds.clear();
  expect(mustWait(state, recovered, nowMs)).toBe(false);
});

test("what a hub itself relayed never waits", () => {
  expect(mustWait(holding("tsk_a"), post("tsk_a", counts), nowMs)).toBe(false);
});
