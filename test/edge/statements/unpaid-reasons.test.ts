import { expect, test } from "vitest";
import { neutralOutcomes } from "../../../edge/hub/attempts/measure-attempt.ts";
import {
  type Unpaid,
  unpaidReason,
  unpaidReasons,
  unpaidWords,
} from "../../../edge/statements/unpaid-reasons.ts";
import { taskFailureCodes } from "../../../shared/protocol/task.ts";

function attempt(outcome: string, change: Partial<Unpaid> = {}): Unpaid {
  return {
    outcome,
    hasTokens: true,
    isOwnTask: false,
    isTaskVoid: false,
    isTaskEmpty: false,
    taskFinish: "stop",
    ...change,
  };
}

test.each<[Unpaid, string]>([
  [attempt("refused"), "refused"],
  [attempt("late"), "late"],
  [attempt("stalled"), "stalled"],
  [attempt("lost"), "lost"],
  [attempt("left"), "left"],
  [attempt("engine_failed"), "failed"],
  [attempt("out_of_memory"), "failed"],
  [attempt("invalid_request"), "request_at_fault"],
  [attempt("context_length_exceeded"), "request_at_fault"],
  [attempt("wrong_result"), "wrong_result"],
  [attempt("stopped"), "stopped"],
  [attempt("cancel ignored"), "cancel_ignored"],
  [attempt("superseded", { isOwnTask: true }), "superseded"],
  [attempt("complete", { isOwnTask: true }), "own_account"],
  [attempt("cancelled", { hasTokens: false }), "cancelled"],
  [attempt("cancelled"), "free"],
  [attempt("cancelled", { isTaskVoid: true }), "not_paid"],
  [attempt("complete", { taskFinish: "receipt_invalid", isTaskVoid: true }), "receipt_invalid"],
  [attempt("complete", { hasTokens: false }), "zero_tokens"],
  [attempt("complete", { isTaskEmpty: true }), "zero_tokens"],
  [attempt("cancelled", { isTaskEmpty: true, isTaskVoid: true }), "not_paid"],
  [attempt("complete", { isTaskVoid: true }), "not_paid"],
  [attempt("complete"), "free"],
  [attempt("of another build", { isTaskVoid: true }), "not_paid"],
])("%j earned nothing because of %s", (unpaid, reason) => {
  expect(unpaidReason(unpaid)).toBe(reason);
});

test("every way in which a worker or a hub ends an attempt has its reason, in words", () => {
  for (const outcome of [...taskFailureCodes, ...neutralOutcomes]) {
    expect(["free", "not_paid"]).not.toContain(
      unpaidReason(attempt(outcome, { hasTokens: false })),
    );
  }
  for (const reason of unpaidReasons) expect(unpaidWords[reason]).toMatch(/^[A-Z].*[a-z]$/);
});
