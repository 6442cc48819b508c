import { describe, expect, test } from "vitest";
import { createLockouts, lockedForMs, lockMs, noteFailure } from "../../../edge/keys/lockout.ts";

function failed(times: readonly number[], id = "k0000001") {
  const lockouts = createLockouts();
  for (const nowMs of times) noteFailure(lockouts, id, nowMs);
  return lockouts;
}

describe("an id that comes with wrong secrets", () => {
  test("is locked at the fifth, for 300 seconds from then", () => {
    const lockouts = failed([0, 1, 2, 3]);
    expect(lockedForMs(lockouts, "k0000001", 4)).toBe(0);
    noteFailure(lockouts, "k0000001", 1_000);
    expect(lockedForMs(lockouts, "k0000001", 1_000)).toBe(lockMs);
    expect(lockedForMs(lockouts, "k0000001", 1_000 + lockMs - 1)).toBe(1);
    expect(lockedForMs(lockouts, "k0000001", 1_000 + lockMs)).toBe(0);
  });

  test("is not locked by mistakes that are far apart", () => {
    const lockouts = failed([0, 100_000, 200_000, 299_999, lockMs, lockMs + 1, lockMs + 2]);
    expect(lockedForMs(lockouts, "k0000001", lockMs + 3)).toBe(0);
  });

  test("is not kept locked by whoever goes on: the time is not lengthened", () => {
    const lockouts = failed([0, 0, 0, 0, 0, 200_000, 299_999]);
    expect(lockedForMs(lockouts, "k0000001", 299_999)).toBe(1);
    expect(lockedForMs(lockouts, "k0000001", lockMs)).toBe(0);
  });

  test("has five tries again once the lock is over", () => {
    const lockouts = failed([0, 0, 0, 0, 0, lockMs, lockMs, lockMs, lockMs]);
    expect(lockedForMs(lockouts, "k0000001", lockMs)).toBe(0);
    noteFailure(lockouts, "k0000001", lockMs);
    expect(lockedForMs(lockouts, "k0000001", lockMs)).toBe(lockMs);
  });

  test("locks no other id", () => {
    expect(lockedForMs(failed([0, 0, 0, 0, 0]), "k0000002", 1)).toBe(0);
  });
});

test("a guesser of ids fills no memory, and those that are over go first", () => {
  const lockouts = createLockouts();
  noteFailure(lockouts, "over0000", -lockMs);
  for (let at = 0; at < 5; at++) noteFailure(lockouts, "locked00", 0);
  for (let at = 0; at < 9_999; at++) noteFailure(lockouts, `guess${at}`, 1);
  expect(lockouts.failuresById.size).toBe(10_000);
  expect(lockedForMs(lockouts, "locked00", 1)).toBe(lockMs - 1);
  for (let at = 0; at < 20_000; at++) noteFailure(lockouts, `again${at}`, 2);
  expect(lockouts.failuresById.size).toBe(10_000);
});
