import { describe, expect, test } from "vitest";
import {
  createLeaseBook,
  endTask,
  giveUp,
  keepReports,
  type LeaseBook,
  spend,
  takeGrant,
  takeReports,
} from "../../../edge/billing/leases/lease-book.ts";
import { type LeaseAsk, leaseMs } from "../../../edge/billing/leases/lease-terms.ts";

const keyId = "key_1";
let leases = 0;

function spendOn(book: LeaseBook, nowMs: number, limit = 10n) {
  const newLeaseId = () => `lea_${(leases += 1)}`;
  return spend(book, { keyId, limit, newLeaseId }, nowMs);
}

/** Asks often enough for a lease to be worth its calls; gives the ask that comes of it. */
function askedBy(book: LeaseBook, nowMs: number): LeaseAsk {
  for (let task = 0; task < 4; task++) {
    const { ask } = spendOn(book, nowMs);
    if (ask !== null) return ask;
  }
  throw new Error("nobody asked for a lease");
}

/** A book with a lease of 100 micros and three tasks at a time, asked for at 0. */
function leased(nowMs = 20): { readonly book: LeaseBook; readonly id: string } {
  const book = createLeaseBook();
  const ask = askedBy(book, 0);
  takeGrant(book, ask, { limit: 100n, tasksMax: 3 }, { askedMs: 0, nowMs });
  return { book, id: ask.id };
}

describe("a lease is asked for", () => {
  test("by the fourth task within a second, once, and for more than was used", () => {
    const book = createLeaseBook();
    const asks = [0, 100, 200, 300, 400].map((nowMs) => spendOn(book, nowMs).ask);
    expect(asks.map((ask) => ask !== null)).toEqual([false, false, false, true, false]);
    expect(asks[3]).toMatchObject({ keyId, limit: 160n, tasks: 8, taskLimit: 10n });
  });

  test("for as many tasks as ran at one time lately, though few run just now", () => {
    const book = createLeaseBook();
    takeGrant(book, askedBy(book, 0), null, { askedMs: 0, nowMs: 0 });
    for (let task = 4; task < 10; task++) expect(spendOn(book, 10).ask).toBeNull();
    for (let task = 0; task < 9; task++) endTask(book, keyId, null);
    expect(spendOn(book, 1_050).ask).toMatchObject({ tasks: 20 });
  });

  test("by nobody who asks seldom", () => {
    const book = createLeaseBook();
    for (let second = 0; second < 20; second++) {
      expect(spendOn(book, second * 1_100)).toEqual({ leaseId: null, ask: null });
    }
  });

  test("again only a while after it was refused, or nobody answered", () => {
    const book = createLeaseBook();
    const ask = askedBy(book, 0);
    takeGrant(book, ask, null, { askedMs: 0, nowMs: 50 });
    expect(spendOn(book, 1_000).ask).toBeNull();
    expect(spendOn(book, 1_050).ask).not.toBeNull();
    expect(spendOn(book, 1_900).ask).toBeNull();
    expect(spendOn(book, 2_050).ask).not.toBeNull();
  });

  test("anew once half of it is spent, or half its time is over, and used meanwhile", () => {
    const { book, id } = leased();
    for (let task = 1; task <= 5; task++) {
      const spent = spendOn(book, 20);
      expect(spent.leaseId).toBe(id);
      expect(spent.ask === null).toBe(task < 5);
      endTask(book, keyId, id);
    }
    expect(spendOn(book, 20).leaseId).toBe(id);

    const { book: other, id: otherId } = leased();
    expect(spendOn(other, leaseMs / 2 - 1).ask).toBeNull();
    expect(spendOn(other, leaseMs / 2)).toMatchObject({ leaseId: otherId, ask: { keyId } });
  });
});

describe("a lease is issued from (L2)", () => {
  test("for no more than its limit", () => {
    const { book, id } = leased();
    expect(spendOn(book, 20, 60n).leaseId).toBe(id);
    expect(spendOn(book, 20, 41n).leaseId).toBeNull();
    expect(spendOn(book, 20, 40n).leaseId).toBe(id);
    expect(spendOn(book, 20, 1n).leaseId).toBeNull();
    expect(takeReports(book, keyId, leaseMs)).toEqual([{ id, micros: 100n, tasks: 2, running: 2 }]);
  });

  test("for no more tasks at a time than it has, and for more once some have ended", () => {
    const { book, id } = leased();
    const issued = [1, 2, 3, 4].map(() => spendOn(book, 20).leaseId);
    expect(issued).toEqual([id, id, id, null]);
    endTask(book, keyId, null);
    expect(spendOn(book, 20).leaseId).toBeNull();
    endTask(book, keyId, id);
    expect(spendOn(book, 20).leaseId).toBe(id);
  });

  test("until its time is over, counted from before it was asked for", () => {
    const { book, id } = leased(900);
    expect(spendOn(book, leaseMs - 251).leaseId).toBe(id);
    expect(spendOn(book, leaseMs - 250).leaseId).toBeNull();
  });

  test("not at all where its answer took longer than that", () => {
    const { book, id } = leased(leaseMs);
    expect(spendOn(book, leaseMs).leaseId).toBeNull();
    expect(takeReports(book, keyId, leaseMs)).toEqual([{ id, micros: 0n, tasks: 0, running: 0 }]);
  });
});

describe("the account is told of a lease", () => {
  test("when another has come, which then has all its tasks", () => {
    const { book, id } = leased();
    for (let task = 0; task < 3; task++) spendOn(book, 20);
    const ask = spendOn(book, leaseMs / 2).ask;
    if (ask === null) throw new Error("no lease was asked for");
    const at = { askedMs: leaseMs / 2, nowMs: leaseMs / 2 };
    takeGrant(book, ask, { limit: 100n, tasksMax: 3 }, at);
    expect(takeReports(book, keyId, at.nowMs)).toEqual([{ id, micros: 30n, tasks: 3, running: 3 }]);
    expect(takeReports(book, keyId, at.nowMs)).toEqual([]);
    endTask(book, keyId, id);
    const issued = [1, 2, 3, 4].map(() => spendOn(book, at.nowMs).leaseId);
    expect(issued).toEqual([ask.id, ask.id, ask.id, null]);
  });

  test("when its time is over and not before, and of those that still run", () => {
    const { book, id } = leased();
    spendOn(book, 20);
    spendOn(book, 20);
    endTask(book, keyId, id);
    expect(takeReports(book, keyId, leaseMs - 251)).toEqual([]);
    expect(takeReports(book, keyId, leaseMs - 250)).toEqual([
      { id, micros: 20n, tasks: 2, running: 1 },
    ]);
    expect(spendOn(book, leaseMs - 250).leaseId).toBeNull();
  });

  test("later where it could not be told", () => {
    const { book } = leased();
    const reports = takeReports(book, keyId, leaseMs);
    keepReports(book, keyId, reports);
    expect(takeReports(book, keyId, leaseMs)).toEqual(reports);
  });

  test("when it may have granted one whose answer was lost", () => {
    const book = createLeaseBook();
    const ask = askedBy(book, 0);
    giveUp(book, ask);
    expect(takeReports(book, keyId, 0)).toEqual([{ id: ask.id, micros: 0n, tasks: 0, running: 0 }]);
  });

  test("of no key that never asked", () => {
    expect(takeReports(createLeaseBook(), keyId, 0)).toEqual([]);
  });
});

test("a book keeps no more keys than it may, unless they are in use", () => {
  const book = createLeaseBook();
  const request = (key: number) => ({ keyId: `key_${key}`, limit: 1n, newLeaseId: () => "lea_1" });
  spend(book, request(0), 0);
  for (let key = 1; key < 10_000; key++) {
    spend(book, request(key), 0);
    endTask(book, `key_${key}`, null);
  }
  expect(book.credits.size).toBe(10_000);
  spend(book, request(10_000), 0);
  expect([...book.credits.keys()]).toEqual(["key_0", "key_10000"]);
});
