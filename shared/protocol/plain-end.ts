import { isRecord } from "../is-record.ts";
import { publicKeyPattern, signaturePattern } from "../crypto/signing.ts";
import { type Finish, finishReasons, type Usage } from "../openai/output.ts";
import { isAttempt, isCount, indexMax, readPlainParts, seqMax } from "./plain-delta.ts";
import type { Receipt, SignedReceipt } from "./receipt.ts";
import type { TaskEnd } from "./task.ts";

const hashPattern = /^[0-9a-f]{64}$/;
const countMax = 100_000_000;
const priceMax = 1_000_000_000;
const attemptCharsMax = 64;
const endFields = 8;
const receiptFields = 14;

/**
 * Reads a whole answer's end by hand, as `readPlainDelta` reads its middle: null for everything
 * that is out of the ordinary, which the schema then judges.
 */
export function readPlainEnd(value: unknown): TaskEnd | null {
  if (!isRecord(value) || value["type"] !== "task.end") return null;
  // A field that is not known here is the schema's to know.
  if (Object.keys(value).length !== endFields) return null;
  const { attempt, seq, outcome } = value;
  if (!isAttempt(attempt) || !isCount(seq, seqMax) || outcome !== "complete") return null;
  const parts = readPlainParts(value["parts"]);
  const finishes = readFinishes(value["finishes"]);
  const usage = readUsage(value["usage"]);
  const receipt = readSigned(value["receipt"]);
  if (parts === null || finishes === null || usage === null || receipt === null) return null;
  return { type: "task.end", attempt, seq, parts, outcome, finishes, usage, receipt };
}

function readFinishes(value: unknown): Finish[] | null {
  if (!Array.isArray(value) || value.length > 128) return null;
  const finishes: Finish[] = [];
  for (const finish of value as unknown[]) {
    if (!isRecord(finish) || Object.keys(finish).length !== 2) return null;
    if (!isCount(finish["index"], indexMax)) return null;
    const reason = finishReasons.find((known) => known === finish["reason"]);
    if (reason === undefined) return null;
    finishes.push({ index: finish["index"], reason });
  }
  return finishes;
}

function readUsage(value: unknown): Usage | null {
  if (!isRecord(value) || Object.keys(value).length !== 3) return null;
  const { prompt, completion, cached } = value;
  const areCounts =
    isCount(prompt, countMax) && isCount(completion, countMax) && isCount(cached, countMax);
  return areCounts ? { prompt, completion, cached } : null;
}

/** Both are strict: what they do not know is nothing anybody signed. */
function readSigned(value: unknown): SignedReceipt | null {
  if (!isRecord(value) || Object.keys(value).length !== 2) return null;
  const { receipt, signature } = value;
  if (!isText(signature, signaturePattern) || !isReceipt(receipt)) return null;
  return { receipt, signature };
}

function isReceipt(value: unknown): value is Receipt {
  if (!isRecord(value) || Object.keys(value).length !== receiptFields) return false;
  const { attempt, first_token_ms: firstTokenMs, outcome } = value;
  return (
    value["v"] === 1 &&
    typeof attempt === "string" &&
    attempt.length <= attemptCharsMax &&
    isText(value["worker"], publicKeyPattern) &&
    isText(value["model"], hashPattern) &&
    isText(value["prompt_hash"], hashPattern) &&
    isText(value["output_hash"], hashPattern) &&
    (outcome === "complete" || outcome === "cancelled") &&
    isCount(value["prompt_tokens"], countMax) &&
    isCount(value["completion_tokens"], countMax) &&
    isCount(value["input_micros_per_million"], priceMax) &&
    isCount(value["output_micros_per_million"], priceMax) &&
    isTime(value["started_ms"]) &&
    (firstTokenMs === null || isTime(firstTokenMs)) &&
    isTime(value["ended_ms"])
  );
}

function isTime(value: unknown): boolean {
  return isCount(value, Number.MAX_SAFE_INTEGER);
}

function isText(value: unknown, pattern: RegExp): value is string {
  return typeof value === "string" && pattern.test(value);
}
