import type { SQL } from "drizzle-orm";
import { desc, sql } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";

/**
 * The order of lists: by time, and by id among rows of one millisecond, so that no two rows tie.
 */
export interface TimeOrder {
  readonly time: SQLiteColumn;
  readonly id: SQLiteColumn;
}

export function newestFirst(order: TimeOrder): [SQL, SQL] {
  return [desc(order.time), desc(order.id)];
}

/** The rows after a cursor in `newestFirst`; undefined (no condition) without one. */
export function beforeInTime(
  order: TimeOrder,
  cursor: readonly [number, string] | null,
): SQL | undefined {
  if (cursor === null) return undefined;
  const [time, id] = cursor;
  return sql`(${order.time}, ${order.id}) < (${sql.param(time, order.time)}, ${id})`;
}
