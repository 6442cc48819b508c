import { z } from "zod";
import { fromBase64Url, toBase64Url, utf8 } from "../../shared/crypto/bytes.ts";
import { OctoError } from "../../shared/errors.ts";

/** One page of a listing. `next` is the cursor of the page after it, null on the last. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

export interface PageRequest {
  readonly cursor?: string | null | undefined;
  readonly limit: number;
}

/** Part of an id that we made. A database refuses what is no text, and fails at a NUL. */
export const cursorTextField = z
  .string()
  .max(128)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u);

/** Where a page in order of time ended: time and id of its last row. */
export const timeCursorSchema = z.tuple([z.int().min(0), cursorTextField]);

/** An opaque cursor: base64url of the sort keys of the last row seen, as JSON. */
export function encodeCursor(keys: readonly (string | number)[]): string {
  return toBase64Url(utf8(JSON.stringify(keys)));
}

/**
 * The sort keys in a cursor, null without one. Throws `invalid_request` on anything we did not
 * make.
 */
export function decodeCursor<T>(schema: z.ZodType<T>, cursor: string | null | undefined): T | null {
  if (cursor === null || cursor === undefined) return null;
  const bytes = fromBase64Url(cursor);
  try {
    if (bytes !== null) return schema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    // Neither JSON nor the keys of this order: answered below like any other wrong cursor.
  }
  throw new OctoError("invalid_request", "Cannot read the cursor: it is not one of this list", {
    param: "cursor",
  });
}

/** Cuts the one row fetched beyond `limit`, which only says that there is a next page. */
export function toPage<T>(
  rows: readonly T[],
  limit: number,
  keysOf: (row: T) => readonly (string | number)[],
): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const next = rows.length > limit && last !== undefined ? encodeCursor(keysOf(last)) : null;
  return { items, next };
}
