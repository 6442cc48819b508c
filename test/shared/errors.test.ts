import { describe, expect, test } from "vitest";
import { assert, AssertionError, assertNever } from "../../shared/assert.ts";
import { errorRules, OctoError } from "../../shared/errors.ts";

describe("error codes", () => {
  test("only failures that may pass are worth trying again", () => {
    for (const [code, rule] of Object.entries(errorRules)) {
      const mayPass = rule.status >= 500 || rule.status === 429;
      expect([code, rule.retry]).toEqual([code, mayPass ? "later" : "never"]);
    }
  });

  test("an error carries its code, the field at fault and its cause", () => {
    const cause = new Error("why");
    const error = new OctoError("invalid_request", "Cannot", { cause, param: "n", retryAfterS: 2 });
    expect(error).toMatchObject({ code: "invalid_request", param: "n", retryAfterS: 2, cause });
    expect(error.name).toBe("OctoError");
  });

  test("what is not given is null, and there is no cause", () => {
    const error = new OctoError("internal", "Something failed");
    expect(error).toMatchObject({ param: null, retryAfterS: null });
    expect("cause" in error).toBe(false);
  });
});

describe("beliefs", () => {
  test("a broken belief says what was believed", () => {
    expect(() => assert(false, "the sky is blue")).toThrow(AssertionError);
    expect(() => assert(0, "the sky is blue")).toThrow("Believed: the sky is blue");
    expect(() => assert("any truthy value", "unused")).not.toThrow();
  });

  test("a case nobody thought of is named", () => {
    expect(() => assertNever({ kind: "new" } as never)).toThrow('{"kind":"new"}');
  });
});
