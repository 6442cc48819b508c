import { describe, expect, test } from "vitest";
import { resolveTask } from "../../../edge/billing/account-state.ts";
import {
  addEarned,
  coverDeficit,
  nextReleaseMs,
  releaseDue,
} from "../../../edge/billing/money/earnings-window.ts";
import { enterJournal } from "../../../edge/billing/outbox/enter-journal.ts";
import { holdFor, post } from "./closings.ts";
import { at, disputeMs, own, ownAccount, ownId } from "./moving.ts";

function spend(state: ReturnType<typeof ownAccount>, task: string, micros: number): void {
  const counts = { promptTokens: 0, completionTokens: micros };
  resolveTask(state, post(task, counts, { account: ownId, limit: String(micros) }), 1);
}

describe("what is earned", () => {
  test("waits in lots, of which a window has 144 at most", () => {
    const state = ownAccount(0n);
    for (let nowMs = 0; nowMs < disputeMs; nowMs += 100) addEarned(state, 1n, at(nowMs));
    expect(state.lots.size).toBeLessThanOrEqual(145);
    expect([...state.lots.values()].reduce((sum, micros) => sum + micros, 0n)).toBe(state.earned);
  });

  test("is never available before its window has passed, and at most a lot's time later", () => {
    for (const nowMs of [0, 1, 999, 1_000, 123_456]) {
      const state = ownAccount(0n);
      const untilMs = addEarned(state, 5n, at(nowMs));
      expect(untilMs).toBeGreaterThanOrEqual(nowMs + disputeMs);
      expect(untilMs).toBeLessThan(nowMs + disputeMs + 1_000);
      expect(releaseDue(state, untilMs - 1).transfers).toEqual([]);
      expect(releaseDue(state, untilMs).transfers).toHaveLength(1);
      expect([state.available, state.earned, state.lots.size]).toEqual([5n, 0n, 0]);
    }
  });

  test("becomes available by one transfer, however many lots are due", () => {
    const state = ownAccount(7n, 10n);
    addEarned(state, 20n, at(5_000));
    addEarned(state, 40n, at(disputeMs));
    expect(nextReleaseMs(state)).toBe(disputeMs);
    const { transfers, lots } = releaseDue(state, disputeMs + 5_000);
    expect(lots).toEqual([144_000, 149_000]);
    expect(transfers).toEqual([
      {
        id: `release:${ownId}:1`,
        taskId: null,
        kind: "release",
        debit: own("earned"),
        credit: own("available"),
        asset: "CREDIT",
        micros: 30n,
        createdMs: disputeMs + 5_000,
        reason: null,
      },
    ]);
    expect([state.available, state.earned]).toEqual([37n, 40n]);
    expect(nextReleaseMs(state)).toBe(2 * disputeMs);
  });

  test("can be spent on the network at once", () => {
    const state = ownAccount(10n, 90n);
    expect(holdFor(state, "t", 101n)).toBe("insufficient_quota");
    expect(holdFor(state, "t", 100n)).toBe("held");
  });

  test("pays what is short, the oldest first, and keeps the rest in its window", () => {
    const state = ownAccount(10n, 20n);
    addEarned(state, 30n, at(10_000));
    spend(state, "t", 45);
    const { transfers } = coverDeficit(state, 1);
    expect(transfers.map(({ micros }) => micros)).toEqual([35n]);
    expect([state.available, state.earned]).toEqual([0n, 15n]);
    expect([...state.lots]).toEqual([[154_000, 15n]]);
  });

  test("pays nothing where enough is available", () => {
    const state = ownAccount(45n, 20n);
    spend(state, "t", 45);
    expect(coverDeficit(state, 1)).toEqual({ transfers: [], lots: [] });
    expect([state.available, state.earned]).toEqual([0n, 20n]);
  });

  test("covers an overdraft as far as it goes", () => {
    const state = ownAccount(0n, 20n);
    spend(state, "t", 45);
    expect(coverDeficit(state, 1).transfers.map(({ micros }) => micros)).toEqual([20n]);
    expect([state.available, state.earned, state.lots.size]).toEqual([-25n, 0n, 0]);
  });

  test("is released under another id each time", () => {
    const state = ownAccount(0n, 20n);
    const ids = [1, 2, 3].map((nowMs) => {
      spend(state, `t${nowMs}`, 5);
      const { transfers } = coverDeficit(state, nowMs);
      enterJournal(state, transfers);
      return transfers[0]?.id;
    });
    expect(new Set(ids).size).toBe(3);
  });
});
