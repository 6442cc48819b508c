import { isRecord } from "../is-record.ts";
import type { TaskDelta } from "./task.ts";

const attemptPattern = /^tsk_[0-9A-Za-z]{22}\.\d{1,3}$/;
export const seqMax = 100_000_000;
const tokensMax = 1_000_000;
export const indexMax = 127;
const tokenIdMax = 1_000_000_000;

/**
 * Reads the commonest frame by hand: a delta whose parts are plain text. Null for everything else,
 * which the schema then judges; it never accepts what the schema of `task.delta` would not (a test
 * holds them together). A schema check of every delta took a third of the hub's time on a token.
 */
export function readPlainDelta(value: unknown): TaskDelta | null {
  if (!isRecord(value) || value["type"] !== "task.delta") return null;
  const { attempt, seq } = value;
  if (!isAttempt(attempt) || !isCount(seq, seqMax)) return null;
  const parts = readPlainParts(value["parts"]);
  if (parts === null || parts.length === 0) return null;
  return { type: "task.delta", attempt, seq, parts };
}

/** Parts of plain text, or null where any is more than that. */
export function readPlainParts(value: unknown): TaskDelta["parts"] | null {
  if (!Array.isArray(value) || value.length > 1024) return null;
  const plain: TaskDelta["parts"] = [];
  for (const part of value as unknown[]) {
    if (!isRecord(part)) return null;
    const { index, tokens, text } = part;
    if (!isCount(index, indexMax) || !isCount(tokens, tokensMax)) return null;
    if (typeof text !== "string") return null;
    const ids = part["token_ids"];
    if (Object.keys(part).length !== (ids === undefined ? 3 : 4)) return null;
    if (ids === undefined) plain.push({ index, tokens, text });
    else if (areTokenIds(ids)) plain.push({ index, tokens, text, token_ids: ids });
    else return null;
  }
  return plain;
}

function areTokenIds(value: unknown): value is number[] {
  if (!Array.isArray(value) || value.length > tokensMax) return false;
  return value.every((id) => isCount(id, tokenIdMax));
}

export function isAttempt(value: unknown): value is string {
  return typeof value === "string" && attemptPattern.test(value);
}

export function isCount(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
}
