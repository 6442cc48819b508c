import { randomBase62 } from "./crypto/bytes.ts";

/** The prefixes in use; the prefix says what an id names wherever it turns up. */
export type IdPrefix = "tsk" | "acct" | "key" | "req" | "tfr" | "lst" | "lea";

/** A new id: `tsk_` and 22 base62 digits, 130 random bits. */
export function newId(prefix: IdPrefix, random: RandomBytes = randomBytes): string {
  return `${prefix}_${randomBase62(22, random)}`;
}

export type RandomBytes = (count: number) => Uint8Array;

/** Bytes from the platform's cryptographic generator (Workers, Node and browsers alike). */
export function randomBytes(count: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** The attempt `number` (from 1) of a task: unique for ever, because the task id is. */
export function attemptId(taskId: string, number: number): string {
  return `${taskId}.${number}`;
}
