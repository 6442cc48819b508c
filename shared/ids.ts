import { randomBase62 } from "./crypto/bytes.ts";

/** The prefixes in use; the prefix says what an id names wherever it turns up. */
export type IdPrefix =
  | "tsk"
  | "acct"
  | "key"
  | "req"
  | "tfr"
  | "lst"
  | "lea"
  | "apr"
  | "wdr"
  | "pyt"
  | "inv"
  | "team"
  | "prj"
  | "att";

/** A new id: `tsk_` and 22 base62 digits, 130 random bits. */
export function newId(prefix: IdPrefix, random: RandomBytes = pooledBytes): string {
  return `${prefix}_${randomBase62(22, random)}`;
}

export type RandomBytes = (count: number) => Uint8Array;

/** Bytes from the platform's cryptographic generator (Workers, Node and browsers alike). */
export function randomBytes(count: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** A few ids' worth: asking the platform for each of them costs more than to make it. */
const pool = new Uint8Array(1024);
let poolAt = pool.length;

/** As `randomBytes`, for ids: each byte is given out once. */
function pooledBytes(count: number): Uint8Array {
  if (poolAt + count > pool.length) {
    crypto.getRandomValues(pool);
    poolAt = 0;
  }
  poolAt += count;
  return pool.subarray(poolAt - count, poolAt);
}

/** The attempt `number` (from 1) of a task: unique for ever, because the task id is. */
export function attemptId(taskId: string, number: number): string {
  return `${taskId}.${number}`;
}
