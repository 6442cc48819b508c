/** Why an attempt earned nothing; what a provider's statement counts by. */
export const unpaidReasons = [
  "refused",
  "late",
  "stalled",
  "lost",
  "left",
  "failed",
  "request_at_fault",
  "wrong_result",
  "stopped",
  "cancelled",
  "cancel_ignored",
  "superseded",
  "receipt_invalid",
  "own_account",
  "zero_tokens",
  "free",
  "not_paid",
] as const;
export type UnpaidReason = (typeof unpaidReasons)[number];

/** The same in plain words. */
export const unpaidWords: Readonly<Record<UnpaidReason, string>> = {
  refused: "The worker did not take it: it was busy, leaving, or offers something else by now",
  late: "No first token came in time, and another worker was asked",
  stalled: "Output stopped in the middle for too long",
  lost: "The connection to the worker was lost",
  left: "The worker left before it was done",
  failed: "The worker's engine failed",
  request_at_fault: "The request itself could not be served, by its own fault",
  wrong_result: "The answer was not what was asked for",
  stopped: "The worker stopped by itself before the end",
  cancelled: "The consumer hung up before anything was delivered",
  cancel_ignored: "The worker went on after it was told to stop",
  superseded: "Another worker was asked beside it and was faster",
  receipt_invalid: "The receipt of the answer did not prove right",
  own_account: "The task was asked by the account that owns the worker",
  zero_tokens: "The answer had no tokens, and nothing costs nothing",
  free: "It is offered for nothing, or its part came to less than a millionth of a credit",
  not_paid: "The task as a whole was not paid: its consumer got no whole answer",
};

/** An attempt that earned nothing. */
export interface Unpaid {
  /** As the hub noted it, without what stands behind a colon: `complete`, `refused`, `lost`. */
  readonly outcome: string;
  readonly hasTokens: boolean;
  readonly isOwnTask: boolean;
  readonly isTaskVoid: boolean;
  /** What its consumer got has no token, say as it stopped at the first word. */
  readonly isTaskEmpty: boolean;
  readonly taskFinish: string | null;
}

/** Outcomes that say it all. */
const reasonByOutcome: ReadonlyMap<string, UnpaidReason> = new Map(
  Object.entries({
    refused: "refused",
    late: "late",
    stalled: "stalled",
    lost: "lost",
    left: "left",
    out_of_memory: "failed",
    engine_failed: "failed",
    invalid_request: "request_at_fault",
    context_length_exceeded: "request_at_fault",
    wrong_result: "wrong_result",
    stopped: "stopped",
    "cancel ignored": "cancel_ignored",
    superseded: "superseded",
  } as const),
);

/** Why it earned nothing: what it did itself, before what became of its task. */
export function unpaidReason(attempt: Unpaid): UnpaidReason {
  const own = reasonByOutcome.get(attempt.outcome);
  if (own !== undefined) return own;
  if (attempt.isOwnTask) return "own_account";
  if (attempt.outcome === "cancelled" && !attempt.hasTokens) return "cancelled";
  if (attempt.taskFinish === "receipt_invalid") return "receipt_invalid";
  if (!attempt.hasTokens) return "zero_tokens";
  if (attempt.isTaskVoid) return "not_paid";
  return attempt.isTaskEmpty ? "zero_tokens" : "free";
}
