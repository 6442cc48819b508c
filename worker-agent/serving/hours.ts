/** When a worker serves, by the clock on its wall: `22:00-07:00, Sat-Sun`. */

/** A moment on the wall's clock. */
export interface WallTime {
  /** 0 is Sunday. */
  readonly day: number;
  /** Since midnight. */
  readonly minute: number;
}

/** Local time as the machine counts it, or as a test wants it. */
export type WallClock = (atMs: number) => WallTime;

export interface Window {
  /** The days on which it begins. */
  readonly days: ReadonlySet<number>;
  readonly fromMinute: number;
  /** Not later than `fromMinute`: it ends on the next day. */
  readonly toMinute: number;
}

const dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const minutesOfDay = 24 * 60;
const everyDay: ReadonlySet<number> = new Set([0, 1, 2, 3, 4, 5, 6]);

/**
 * Reads windows, with commas between them: days (`Mon-Fri`, `Sat`), times (`22:00-07:00`), or days
 * and times (`Mon-Fri 22:00-07:00`). Null where it is none.
 */
export function parseHours(text: string): readonly Window[] | null {
  const windows: Window[] = [];
  for (const part of text.split(",")) {
    const window = parseWindow(part.trim());
    if (window === null) return null;
    windows.push(window);
  }
  return windows;
}

function parseWindow(text: string): Window | null {
  const words = text.split(/\s+/);
  const [first = "", second] = words;
  if (words.length > 2) return null;
  const days = parseDays(first);
  const times = parseTimes(days === null ? first : (second ?? "00:00-24:00"));
  if (times === null || (days === null && second !== undefined)) return null;
  return { days: days ?? everyDay, ...times };
}

function parseDays(text: string): ReadonlySet<number> | null {
  const [first = "", last = first, ...rest] = text.toLowerCase().split("-");
  const from = dayNames.indexOf(first);
  const to = dayNames.indexOf(last);
  if (from < 0 || to < 0 || rest.length > 0) return null;
  const days = new Set<number>();
  for (let day = from; ; day = (day + 1) % 7) {
    days.add(day);
    if (day === to) return days;
  }
}

function parseTimes(text: string): Pick<Window, "fromMinute" | "toMinute"> | null {
  const match = /^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$/.exec(text);
  if (match === null) return null;
  const [fromHour = 0, fromMinutes = 0, toHour = 0, toMinutes = 0] = match.slice(1).map(Number);
  const fromMinute = fromHour * 60 + fromMinutes;
  const toMinute = toHour * 60 + toMinutes;
  const isTime = fromMinutes < 60 && toMinutes < 60 && fromMinute < minutesOfDay;
  return isTime && toMinute <= minutesOfDay ? { fromMinute, toMinute } : null;
}

/**
 * Whether a window is open. A window over midnight belongs to the day it begins on. Only the wall's
 * clock counts: an hour that a change of the clock skips opens nothing, one that comes twice is
 * open twice.
 */
export function isWithin(windows: readonly Window[], wall: WallTime): boolean {
  const { day, minute } = wall;
  const dayBefore = (day + 6) % 7;
  return windows.some(({ days, fromMinute, toMinute }) => {
    if (fromMinute < toMinute) return days.has(day) && minute >= fromMinute && minute < toMinute;
    const isEvening = days.has(day) && minute >= fromMinute;
    return isEvening || (days.has(dayBefore) && minute < toMinute);
  });
}

const minuteMs = 60_000;
/** A week, and the day on which a clock may change. */
const lookAheadMs = 8 * minutesOfDay * minuteMs;

/**
 * The next minute at which the windows open or close, or null where that never happens. It asks for
 * every minute of a week, so its answer is worth keeping.
 */
export function nextTurnMs(
  windows: readonly Window[],
  nowMs: number,
  wallClock: WallClock,
): number | null {
  const isOpen = isWithin(windows, wallClock(nowMs));
  const first = Math.floor(nowMs / minuteMs) * minuteMs + minuteMs;
  for (let atMs = first; atMs <= nowMs + lookAheadMs; atMs += minuteMs) {
    if (isWithin(windows, wallClock(atMs)) !== isOpen) return atMs;
  }
  return null;
}
