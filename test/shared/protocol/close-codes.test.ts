import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  closeCodes,
  closeReason,
  closeReasonBytesMax,
  isFinalClose,
  spreadMsOf,
} from "../../../shared/protocol/close-codes.ts";

describe("close codes", () => {
  test("no two causes share a code, and every code is one an application may send", () => {
    const codes = Object.values(closeCodes);
    expect(new Set(codes).size).toBe(codes.length);
    for (const code of codes) expect(code === 1000 || (code >= 4000 && code <= 4999)).toBe(true);
  });

  test("coming back cannot help a worker that is done, replaced or too old", () => {
    const final = Object.entries(closeCodes).filter(([, code]) => isFinalClose(code));
    expect(final.map(([name]) => name).toSorted()).toEqual(["done", "replaced", "versionTooOld"]);
    for (const code of [1001, 1005, 1006, 1011, 1012]) expect(isFinalClose(code)).toBe(false);
  });
});

describe("close reasons", () => {
  test("a reason that fits stays as it is", () => {
    expect(closeReason("silent for 30000 ms")).toBe("silent for 30000 ms");
    expect(closeReason("x".repeat(123))).toBe("x".repeat(123));
  });

  test("a longer one is cut at a character's end", () => {
    expect(closeReason("x".repeat(124))).toBe("x".repeat(123));
    expect(closeReason("é".repeat(100))).toBe("é".repeat(61));
    expect(closeReason(`x${"😀".repeat(100)}`)).toBe(`x${"😀".repeat(30)}`);
  });

  test("any text becomes a well-formed reason that fits, and its own beginning", () => {
    const text = fc.string({ unit: "binary", maxLength: 300 });
    fc.assert(
      fc.property(text, (long) => {
        const reason = closeReason(long);
        expect(reason.isWellFormed()).toBe(true);
        expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(closeReasonBytesMax);
        expect(long.toWellFormed().startsWith(reason)).toBe(true);
      }),
    );
  });

  test("lone surrogates, which a close frame cannot carry, are replaced", () => {
    expect(closeReason("a\ud800b")).toBe("a\ufffdb");
  });

  test("a reason as long as a frame is cut at once", { timeout: 2_000 }, () => {
    expect(closeReason("x".repeat(256 * 1024))).toHaveLength(123);
  });
});

describe("the spread of a restart", () => {
  test.each([
    ["spread_ms=15000", 15_000],
    ["this hub restarts; spread_ms=0", 0],
    ["spread_ms=9999999", null],
    ["spread_ms=-5", null],
    ["xspread_ms=5", null],
    ["no spread", null],
    ["", null],
  ])("%j says %s", (reason, ms) => {
    expect(spreadMsOf(reason)).toBe(ms);
  });
});
