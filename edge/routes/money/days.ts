import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";

/** Days and months in UTC, as statements name them. */

export const dayField = z.iso.date("not a day, which is written YYYY-MM-DD");
export const monthField = z
  .string()
  .regex(/^20\d\d-(0[1-9]|1[0-2])$/, "not a month of this century, which is written YYYY-MM");

export const daysQuery = {
  from: dayField.optional().meta({
    description: "The first day, in UTC; the first of this month unless said",
  }),
  to: dayField.optional().meta({ description: "The last day, which counts; today unless said" }),
};

/** Days from the first to the last, and the moments between which they lie. */
export interface Days {
  readonly from: string;
  readonly to: string;
  readonly fromMs: number;
  /** The first moment that no longer counts. */
  readonly beforeMs: number;
}

const dayMs = 86_400_000;
/** A leap year: what anybody compares, and as much as one answer should have to sum. */
const daysMax = 366;

/** The days that a query asks for; throws `invalid_request` where they are none, or too many. */
export function daysOf(
  query: { readonly from?: string | undefined; readonly to?: string | undefined },
  nowMs: number,
): Days {
  const to = query.to ?? dayOf(nowMs);
  const from = query.from ?? `${to.slice(0, 7)}-01`;
  const fromMs = Date.parse(from);
  const beforeMs = Date.parse(to) + dayMs;
  if (beforeMs <= fromMs) throw outOfRange(`${from} is after ${to}`);
  const days = (beforeMs - fromMs) / dayMs;
  if (days > daysMax) throw outOfRange(`that is ${days} days, and ${daysMax} are the most`);
  return { from, to, fromMs, beforeMs };
}

function outOfRange(why: string): OctoError {
  return new OctoError("invalid_request", `Cannot look from day to day: ${why}`, { param: "from" });
}

export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** The moments at which a month begins and is over. */
export function monthBounds(month: string): { readonly fromMs: number; readonly beforeMs: number } {
  const [year = 0, number = 0] = month.split("-").map(Number);
  return { fromMs: Date.UTC(year, number - 1), beforeMs: Date.UTC(year, number) };
}
