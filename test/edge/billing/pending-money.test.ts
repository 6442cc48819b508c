import { describe, expect, test } from "vitest";
import type { AccountState } from "../../../edge/billing/account-state.ts";
import {
  expirePending,
  type Pending,
  pendMoney,
  type PendRequest,
  postPending,
  voidPending,
} from "../../../edge/billing/money/pending-money.ts";
import { AssertionError } from "../../../shared/assert.ts";
import { bookOf, systemBooks } from "../../../shared/assets.ts";
import { holdFor } from "./closings.ts";
import { at, creditOf, otherId, own, ownAccount } from "./moving.ts";

const request: PendRequest = {
  id: "wd_1",
  kind: "withdrawal",
  reason: null,
  asset: "CREDIT",
  micros: 60n,
  from: "available",
  credit: systemBooks.payouts,
  expiresMs: null,
};

/** What is pending after `change`, which has to have happened. */
function changed(change: ReturnType<typeof pendMoney>): Pending {
  if (change.kind === "refused") throw new Error(change.reason);
  return change.pending;
}

function pended(state: AccountState, changes: Partial<PendRequest> = {}): Pending {
  return changed(pendMoney(state, { ...request, ...changes }, null, at(1)));
}

describe("money that is pending", () => {
  test("is out of reach of everything else", () => {
    const state = ownAccount(100n);
    expect(pended(state)).toEqual({ ...request, state: "pending", posted: 0n });
    expect(creditOf(state)).toMatchObject({ available: 40n, held: 60n });
    expect(holdFor(state, "t", 41n)).toBe("insufficient_quota");
    const other = { ...request, id: "wd_2", micros: 41n };
    expect(pendMoney(state, other, null, at(1))).toMatchObject({ code: "insufficient_quota" });
  });

  test("is not what is held for tasks, nor what is in its window", () => {
    const state = ownAccount(100n, 50n);
    expect(holdFor(state, "t", 100n)).toBe("held");
    const short = { ...request, micros: 51n };
    expect(pendMoney(state, short, null, at(1))).toMatchObject({ code: "insufficient_quota" });
    expect(pended(state, { micros: 50n }).state).toBe("pending");
    const more = { ...request, id: "wd_2", micros: 51n };
    expect(pendMoney(state, more, null, at(1))).toMatchObject({ code: "insufficient_quota" });
  });

  test("goes to whom it was promised by a post", () => {
    const state = ownAccount(100n);
    const change = postPending(state, { id: "wd_1", micros: null }, pended(state), at(2));
    expect(change).toMatchObject({
      pending: { state: "posted", posted: 60n },
      decided: {
        transfers: [{ id: "wd_1:post", debit: own("held"), credit: systemBooks.payouts }],
        earnings: [],
      },
    });
    expect(creditOf(state)).toMatchObject({ available: 40n, held: 0n });
  });

  test("posted in part returns the rest in the same breath", () => {
    const state = ownAccount(100n);
    const before = pended(state, { credit: bookOf(otherId, "available") });
    const change = postPending(state, { id: "wd_1", micros: 25n }, before, at(2));
    expect(change).toMatchObject({
      pending: { state: "posted", posted: 25n },
      decided: {
        transfers: [
          { id: "wd_1:post", micros: 25n },
          { id: "wd_1:rest", micros: 35n, credit: own("available") },
        ],
        earnings: [{ accountId: otherId, asset: "CREDIT", bucket: "available", micros: 25n }],
      },
    });
    expect(creditOf(state)).toMatchObject({ available: 75n, held: 0n });
  });

  test("posted at nothing returns whole", () => {
    const state = ownAccount(100n);
    const change = postPending(state, { id: "wd_1", micros: 0n }, pended(state), at(2));
    expect(change).toMatchObject({ pending: { state: "posted", posted: 0n } });
    expect(creditOf(state)).toMatchObject({ available: 100n, held: 0n });
  });

  test.each([61n, -1n])("cannot be posted at %s micros of 60", (micros) => {
    const state = ownAccount(100n);
    const change = postPending(state, { id: "wd_1", micros }, pended(state), at(2));
    expect(change).toMatchObject({ kind: "refused", code: "invalid_request" });
    expect(creditOf(state)).toMatchObject({ available: 40n, held: 60n });
  });

  test("returns where it came from by a void", () => {
    const state = ownAccount(0n, 100n);
    const before = pended(state, { from: "earned" });
    expect(creditOf(state)).toMatchObject({ earned: 40n, held: 60n });
    const change = voidPending(state, "wd_1", before, at(2));
    expect(change).toMatchObject({ pending: { state: "void", posted: 0n } });
    expect(creditOf(state)).toMatchObject({ earned: 100n, held: 0n });
    expect([...state.lots.values()].reduce((sum, micros) => sum + micros, 0n)).toBe(100n);
  });

  test("returns by itself when its time is over, and cannot be posted or voided from then on", () => {
    const state = ownAccount(100n);
    const before = pended(state, { expiresMs: 50 });
    for (const change of [
      postPending(state, { id: "wd_1", micros: null }, before, at(50)),
      voidPending(state, "wd_1", before, at(50)),
    ]) {
      expect(change).toMatchObject({ code: "conflict", reason: "wd_1 is expired" });
    }
    expect(() => expirePending(state, before, at(49))).toThrow(AssertionError);
    const { state: how } = changed(expirePending(state, before, at(50)));
    expect(how).toBe("expired");
    expect(creditOf(state)).toMatchObject({ available: 100n, held: 0n });
  });

  test("that would be over before it began is refused", () => {
    const change = pendMoney(ownAccount(100n), { ...request, expiresMs: 1 }, null, at(1));
    expect(change).toMatchObject({ code: "invalid_request" });
  });

  test("ends once: repeating how it ended changes nothing, any other end is refused", () => {
    const ends = {
      posted: (state: AccountState, before: Pending) =>
        postPending(state, { id: "wd_1", micros: null }, before, at(2)),
      void: (state: AccountState, before: Pending) => voidPending(state, "wd_1", before, at(2)),
    };
    for (const [how, end] of Object.entries(ends)) {
      const state = ownAccount(100n);
      const ended = changed(end(state, pended(state)));
      const after = creditOf(state);
      for (const [other, again] of Object.entries(ends)) {
        const expected =
          other === how
            ? { kind: "changed", decided: null }
            : { kind: "refused", code: "conflict" };
        expect(again(state, ended)).toMatchObject(expected);
      }
      const part = postPending(state, { id: "wd_1", micros: 1n }, ended, at(2));
      expect(part).toMatchObject({ code: "conflict" });
      expect(creditOf(state)).toEqual(after);
    }
  });

  test("is asked for once: the same again is answered, anything else is a conflict", () => {
    const state = ownAccount(1_000n);
    const before = pended(state);
    expect(pendMoney(state, request, before, at(9))).toMatchObject({ decided: null });
    const others: readonly Partial<PendRequest>[] = [
      { kind: "quota" },
      { reason: "mine" },
      { asset: "OCTO" },
      { micros: 61n },
      { from: "stake" },
      { credit: systemBooks.treasury },
      { expiresMs: 99 },
    ];
    for (const changes of others) {
      const change = pendMoney(state, { ...request, ...changes }, before, at(9));
      expect(change).toMatchObject({ kind: "refused", code: "idempotency_conflict" });
    }
    expect(creditOf(state)).toMatchObject({ available: 940n, held: 60n });
  });

  test("that nobody asked for is not found", () => {
    const state = ownAccount(100n);
    const post = { id: "wd_9", micros: null };
    expect(postPending(state, post, null, at(1))).toMatchObject({ code: "not_found" });
    expect(voidPending(state, "wd_9", null, at(1))).toMatchObject({ code: "not_found" });
  });
});
