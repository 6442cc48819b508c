import { customType } from "drizzle-orm/sqlite-core";

/*
 * The client reads every INTEGER as a bigint, so that money never passes through a float; a column
 * says what it becomes in code. All three bind bigints: the native driver binds a JavaScript number
 * as REAL.
 */

/** Money: a bigint of micros, exact over the whole range of SQLite's INTEGER. */
export const micros = customType<{ data: bigint; driverData: bigint }>({
  dataType: () => "integer",
});

/** Counts, times in unix milliseconds and prices: integers that fit a number exactly. */
export const whole = customType<{ data: number; driverData: bigint }>({
  dataType: () => "integer",
  toDriver: (value) => BigInt(value),
  fromDriver: (value) => Number(value),
});

/** A boolean, stored as 0 or 1. */
export const flag = customType<{ data: boolean; driverData: bigint }>({
  dataType: () => "integer",
  toDriver: (value) => (value ? 1n : 0n),
  fromDriver: (value) => value !== 0n,
});
