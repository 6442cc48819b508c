import type { SQL } from "drizzle-orm";
import { getTableColumns, sql } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";

/*
 * A batch of rows travels as one bound JSON text a table, an array a row: the number of statements
 * and of bound values does not grow with the batch (SQLite binds at most 100 values on some hosts).
 */

/**
 * `select … from json_each(?)` giving `rows` in the order of the table's columns, for an insert.
 * Integers travel as digits in a string and become INTEGER by the column's affinity: exact beyond
 * what a JSON number promises.
 */
export function selectRows<T extends SQLiteTable>(
  table: T,
  rows: readonly T["$inferInsert"][],
): SQL {
  const columns = Object.entries<SQLiteColumn>(getTableColumns(table));
  const encoded = rows.map((row: Record<string, unknown>) =>
    columns.map(([key, column]) => encode(column, row[key] ?? column.default ?? null)),
  );
  const fields = columns.map(
    ([, column], place) =>
      sql`value ->> ${sql.raw(String(place))} as ${sql.identifier(column.name)}`,
  );
  // `where true` parts the select from an upsert clause (sqlite.org/lang_upsert.html, section 2.2).
  const json = JSON.stringify(encoded);
  return sql`select ${sql.join(fields, sql.raw(", "))} from json_each(${json}) where true`;
}

function encode(column: SQLiteColumn, value: unknown): unknown {
  if (value === null) return null;
  const driver = column.mapToDriverValue(value);
  return typeof driver === "bigint" ? driver.toString() : driver;
}
