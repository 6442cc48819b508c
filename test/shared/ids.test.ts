import { describe, expect, test } from "vitest";
import { attemptId, newId, randomBytes } from "../../shared/ids.ts";

describe("ids", () => {
  test("an id is its prefix and 22 base62 characters", () => {
    expect(newId("tsk")).toMatch(/^tsk_[0-9A-Za-z]{22}$/);
    expect(newId("acct")).toMatch(/^acct_[0-9A-Za-z]{22}$/);
  });

  test("ten thousand ids are ten thousand ids", () => {
    expect(new Set(Array.from({ length: 10_000 }, () => newId("req"))).size).toBe(10_000);
  });

  test("random bytes are as many as asked for and not always the same", () => {
    expect(randomBytes(32)).toHaveLength(32);
    expect(randomBytes(32)).not.toEqual(randomBytes(32));
  });

  test("an attempt is named by its task and number", () => {
    expect(attemptId("tsk_0000000000000000000000", 3)).toBe("tsk_0000000000000000000000.3");
  });
});
