import type { WallTime } from "./hours.ts";

/** The time of this machine's own zone. */
export function localWallClock(atMs: number): WallTime {
  const at = new Date(atMs);
  return { day: at.getDay(), minute: at.getHours() * 60 + at.getMinutes() };
}
