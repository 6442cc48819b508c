import { z } from "zod";
import { assert } from "../../shared/assert.ts";
import { publicKeyPattern } from "../../shared/crypto/signing.ts";
import type { Micros } from "../../shared/money.ts";
import type { Page } from "../db/page.ts";

/** The fields that requests and answers under `/api/v1` share. */

export const accountIdField = z.string().regex(/^acct_[0-9A-Za-z]{22,43}$/, "not an account id");
export const personIdField = z
  .string()
  .regex(publicKeyPattern, "not an Ed25519 public key in base64url");
export const teamIdField = z.string().regex(/^team_[0-9A-Za-z]{22}$/, "not a team id");
export const projectIdField = z.string().regex(/^prj_[0-9A-Za-z]{22}$/, "not a project id");
export const keyIdField = z.string().regex(/^[0-9A-Za-z]{8}$/, "not the id of an API key");
export const workerIdField = z.string().regex(publicKeyPattern, "not a worker's public key");
export const taskIdField = z.string().regex(/^tsk_[0-9A-Za-z]{22}$/, "not a task id");

/** A name people give: printable, and short enough for a table. */
export const nameField = z
  .string()
  .trim()
  .regex(/^[^\p{Cc}]{1,100}$/u, "1 to 100 characters, none of them a control character");

/**
 * A line that people write beside money. It is kept in the ledger and hashed into a journal, and a
 * database may end it at a NUL, so that the two would not agree.
 */
export const remarkField = z
  .string()
  .max(200)
  .regex(/^[^\p{Cc}]*$/u, "it has a control character");

/** Simultaneous tasks of one account: the whole of a network's slots is far below. */
export const concurrencyField = z.int().min(0).max(100_000);

/**
 * Micros that are to move: at most a billion credits, so that a slip of the keyboard stays far
 * below what a balance can hold.
 */
export const amountField = z
  .int()
  .min(1)
  .max(10 ** 15);

export const microsField = z.int().meta({ description: "1 credit is 1,000,000 micros" });
export const timeField = z.iso.datetime().meta({ examples: ["2026-11-05T09:30:00.000Z"] });

/** Micros as JSON carries them: a reader with 64-bit floats gets every one exactly. */
export function microsToJson(micros: Micros): number {
  const number = Number(micros);
  assert(Number.isSafeInteger(number), `${micros} micros fit a JSON number exactly`);
  return number;
}

export function timeToJson(ms: number): string;
export function timeToJson(ms: number | null): string | null;
export function timeToJson(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/** A whole number in a query string, in its one plain form. */
export function wholeInQuery(least: number, most: number) {
  return z
    .string()
    .regex(/^(0|[1-9]\d{0,15})$/, "not a whole number")
    .transform(Number)
    .pipe(z.int().min(least).max(most));
}

export const flagInQuery = z
  .enum(["true", "false"])
  .transform((text) => text === "true")
  .pipe(z.boolean());

/**
 * Pages hold 20 items unless told otherwise; 100 keep an answer below what a phone parses at once.
 */
export const pageQuery = {
  cursor: z.string().max(1024).optional(),
  limit: wholeInQuery(1, 100).default(20),
};

/** Tables come as JSON, or as a file for a spreadsheet. */
export const formatQuery = {
  format: z.enum(["json", "csv"]).default("json").meta({ description: "`csv` is RFC 4180" }),
};

/** The shape of one page of a list. */
export function pageSchema<T extends z.ZodType>(item: T) {
  return z.object({
    object: z.literal("list"),
    data: z.array(item),
    next_cursor: z
      .string()
      .nullable()
      .meta({ description: "Send it as `cursor` for the next page; null on the last" }),
  });
}

export function pageToJson<Row, Item>(
  page: Page<Row>,
  toJson: (row: Row) => Item,
): { object: "list"; data: Item[]; next_cursor: string | null } {
  return { object: "list", data: page.items.map(toJson), next_cursor: page.next };
}
