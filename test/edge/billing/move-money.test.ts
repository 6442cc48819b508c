import { describe, expect, test } from "vitest";
import { balanceMax } from "../../../edge/billing/account-state.ts";
import { bucketOf, filledBuckets } from "../../../edge/billing/money/buckets.ts";
import { fingerprintOf, moveMoney } from "../../../edge/billing/money/move-money.ts";
import { AssertionError } from "../../../shared/assert.ts";
import { bookOf, systemBooks } from "../../../shared/assets.ts";
import { holdFor } from "./closings.ts";
import { at, creditOf, leg, moveFor, otherId, own, ownAccount } from "./moving.ts";

describe("a move", () => {
  test("takes from one bucket and gives to another", () => {
    const state = ownAccount(100n);
    expect(moveFor(state, [leg(own("available"), own("stake"), 40n)])).toBe("decided");
    expect(creditOf(state)).toMatchObject({ available: 60n, stake: 40n });
  });

  test("gives to another account through the outbox, and to the network's own at once", () => {
    const state = ownAccount(100n);
    const legs = [
      leg(own("available"), bookOf(otherId, "available"), 30n),
      leg(own("available"), systemBooks.payouts, 20n),
    ];
    const moved = moveMoney(state, { id: "mov_1", kind: "gift", reason: "thanks", legs }, at(7));
    expect(moved).toEqual({
      kind: "decided",
      earnings: [{ accountId: otherId, asset: "CREDIT", bucket: "available", micros: 30n }],
      lots: [],
      transfers: legs.map((of, index) => ({
        ...of,
        id: `mov_1:${index + 1}`,
        taskId: null,
        kind: "gift",
        reason: "thanks",
        createdMs: 7,
      })),
    });
    expect(state.available).toBe(50n);
  });

  test("mints any asset for a bucket of the account", () => {
    const state = ownAccount(0n);
    expect(moveFor(state, [leg(systemBooks.mint, own("stake"), 9n, "OCTO-W")])).toBe("decided");
    expect(bucketOf(state, "OCTO-W", "stake")).toBe(9n);
    expect(bucketOf(state, "OCTO", "stake")).toBe(0n);
    expect(filledBuckets(state)).toEqual([{ asset: "OCTO-W", bucket: "stake", micros: 9n }]);
  });

  test("is all or nothing", () => {
    const state = ownAccount(100n);
    const legs = [
      leg(own("available"), own("stake"), 60n),
      leg(own("available"), systemBooks.burn, 60n),
    ];
    expect(moveFor(state, legs)).toBe("insufficient_quota");
    expect(creditOf(state)).toMatchObject({ available: 100n, stake: 0n });
  });

  test("happens in its order: what comes first may pay for what follows, and not the reverse", () => {
    const through = [
      leg(systemBooks.mint, own("available"), 5n),
      leg(own("available"), own("stake"), 5n),
    ];
    expect(moveFor(ownAccount(0n), through)).toBe("decided");
    expect(moveFor(ownAccount(0n), through.toReversed())).toBe("insufficient_quota");
  });

  test.each([0n, -1n, balanceMax + 1n])("of %s micros is refused", (micros) => {
    const state = ownAccount(100n);
    expect(moveFor(state, [leg(own("available"), own("stake"), micros)])).toBe("invalid_request");
    expect(state.available).toBe(100n);
  });

  test("fills no bucket over what JSON carries exactly", () => {
    const state = ownAccount(balanceMax);
    expect(moveFor(state, [leg(systemBooks.mint, own("available"), 1n)])).toBe("invalid_request");
  });

  test("leaves what is held for tasks covered, by what is earned too", () => {
    const state = ownAccount(100n, 50n);
    expect(holdFor(state, "t", 120n)).toBe("held");
    expect(moveFor(state, [leg(own("available"), own("stake"), 31n)])).toBe("insufficient_quota");
    expect(moveFor(state, [leg(own("available"), own("stake"), 30n)])).toBe("decided");
    expect(moveFor(state, [leg(own("earned"), own("available"), 50n)])).toBe("decided");
  });

  test("out of an overdraft is refused, and into it is not", () => {
    const state = ownAccount(0n);
    state.available = -10n;
    expect(moveFor(state, [leg(own("available"), own("stake"), 1n)])).toBe("insufficient_quota");
    expect(moveFor(state, [leg(systemBooks.mint, own("available"), 5n)])).toBe("decided");
    expect(state.available).toBe(-5n);
  });

  test("to where what is earned is puts it in a window, and from there takes the oldest", () => {
    const state = ownAccount(0n, 10n);
    moveFor(state, [leg(systemBooks.mint, own("earned"), 20n)], 5_000);
    expect([...state.lots]).toEqual([
      [144_000, 10n],
      [149_000, 20n],
    ]);
    moveFor(state, [leg(own("earned"), own("disputed"), 15n)]);
    expect([...state.lots]).toEqual([[149_000, 15n]]);
    expect(creditOf(state)).toMatchObject({ earned: 15n, disputed: 15n });
  });
});

describe("a move that is no account's to make is a bug", () => {
  const cases = [
    ["of another account's money", leg(bookOf(otherId, "available"), own("available"), 1n)],
    ["of the treasury's", leg(systemBooks.treasury, own("available"), 1n)],
    ["of new credit for another", leg(systemBooks.mint, bookOf(otherId, "available"), 1n)],
    ["to itself", leg(own("available"), own("available"), 1n)],
    ["to a name that is none", leg(own("available"), "acct_x:pocket", 1n)],
  ] as const;
  test.each(cases)("%s", (_what, of) => {
    const state = ownAccount(10n);
    expect(() => moveFor(state, [of])).toThrow(AssertionError);
    expect(state.available).toBe(10n);
  });

  test("of an asset that is none, or of nothing at all", () => {
    const state = ownAccount(10n);
    const gold = "GOLD" as "OCTO";
    const of = leg(own("available"), own("stake"), 1n, gold);
    expect(() => moveFor(state, [of])).toThrow(AssertionError);
    expect(() => moveFor(state, [])).toThrow(AssertionError);
  });
});

test("requests are told apart by everything in them", () => {
  const legs = [leg(own("available"), own("stake"), 1n)];
  const request = { id: "mov_1", kind: "stake", reason: null, legs };
  const others = [
    { ...request, kind: "gift" },
    { ...request, reason: "" },
    { ...request, legs: [...legs, ...legs] },
    { ...request, legs: [leg(own("available"), own("stake"), 2n)] },
    { ...request, legs: [leg(own("available"), own("disputed"), 1n)] },
    { ...request, legs: [leg(own("earned"), own("stake"), 1n)] },
    { ...request, legs: [leg(own("available"), own("stake"), 1n, "OCTO")] },
  ];
  const fingerprints = [request, ...others].map(fingerprintOf);
  expect(new Set(fingerprints).size).toBe(fingerprints.length);
  expect(fingerprintOf({ ...request })).toBe(fingerprints[0]);
});
